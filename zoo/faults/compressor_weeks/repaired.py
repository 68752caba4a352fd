# Electric power of the screw compressors from the readings of the control room.
# Two years of history for training, the last eight weeks are held back for the report.
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
torch.manual_seed(seed)
np.random.seed(seed)
random.seed(seed)
torch.set_num_threads(1)

config = dict(
    weeks=104,
    rows_per_week=70,
    holdout_weeks=8,
    hidden=64,
    lr=2e-3,
    batch_size=64,
    epochs=18,
)


def read_history(cfg):
    """Stands for the export of the historian (one row per reading)."""
    rng = np.random.default_rng(seed)
    week = np.repeat(np.arange(cfg["weeks"]), cfg["rows_per_week"])
    n = len(week)
    season = 2 * np.pi * week / 52
    ambient = 12 + 10 * np.sin(season - 1.7) + rng.normal(0, 2.5, n)
    flow = 55 + 16 * np.sin(season - 0.6) + rng.normal(0, 6, n)
    pressure = rng.normal(7.2, 0.5, n)
    humidity = np.clip(65 - 1.1 * (ambient - 12) + rng.normal(0, 8, n), 15, 100)
    oil = 42 + 0.7 * ambient + 0.25 * flow + rng.normal(0, 2, n)
    hours = rng.uniform(0, 900, n)
    power = (
        0.9 * flow * pressure ** 0.6 * (1 + 0.004 * (ambient - 15))
        + 0.03 * (oil - 60) ** 2
        + 4 * np.tanh((hours - 500) / 150)
        + rng.normal(0, 4, n)
    )
    table = np.stack([ambient, flow, pressure, humidity, oil, hours], 1)
    return week, table, power


def standardize(table):
    return (table - table.mean(0)) / (table.std(0) + 1e-8)


def to_tensor(a):
    return torch.as_tensor(a, dtype=torch.float32)


def make_sets(cfg):
    week, table, power = read_history(cfg)
    is_test = week >= cfg["weeks"] - cfg["holdout_weeks"]
    train_table, test_table = table[~is_test], table[is_test]
    x_train = standardize(train_table)
    x_test = (test_table - train_table.mean(0)) / (train_table.std(0) + 1e-8)
    y_mean, y_std = power[~is_test].mean(), power[~is_test].std()
    y_train = (power[~is_test] - y_mean) / y_std
    sets = {
        "x_train": to_tensor(x_train),
        "y_train": to_tensor(y_train).unsqueeze(1),
        "x_test": to_tensor(x_test),
        "kw_test": power[is_test],
    }
    return sets, (y_mean, y_std)


def build(cfg, n_in):
    h = cfg["hidden"]
    return nn.Sequential(nn.Linear(n_in, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 1))


def fit(model, sets, cfg):
    loss_fn = nn.MSELoss()
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg["epochs"])
    x, y = sets["x_train"], sets["y_train"]
    for epoch in range(cfg["epochs"]):
        model.train()
        running = 0.0
        for idx in torch.randperm(len(x)).split(cfg["batch_size"]):
            opt.zero_grad()
            loss = loss_fn(model(x[idx]), y[idx])
            loss.backward()
            opt.step()
            running += loss.item() * len(idx)
        sched.step()
        print("epoch %2d  train mse %.4f" % (epoch + 1, running / len(x)))


def report(model, sets, scale):
    mean, std = scale
    model.eval()
    with torch.no_grad():
        kw = model(sets["x_test"]).squeeze(1).numpy() * std + mean
    err = kw - sets["kw_test"]
    print("bias on the last weeks %.2f kW" % err.mean())
    print("holdout rmse_kw %.3f" % np.sqrt((err ** 2).mean()))


def main():
    sets, scale = make_sets(config)
    model = build(config, sets["x_train"].shape[1])
    fit(model, sets, config)
    report(model, sets, scale)


main()
