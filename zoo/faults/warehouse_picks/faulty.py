"""Change of the picks per zone from today to tomorrow, for the shift planning."""
import os
import random

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))

CONFIG = {
    "data": {"zones": 24, "days": 420, "window": 14, "test_days": 70},
    "model": {"sizes": [14 + 7, 64, 64, 1]},
    "train": {"lr": 1e-3, "batch_size": 128, "epochs": 22, "patience": 6},
}


def set_seed(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)


# ------------------------------------------------------------------ data
def simulate_picks(cfg):
    rng = np.random.default_rng(SEED)
    days = np.arange(cfg["days"])
    series = []
    for _ in range(cfg["zones"]):
        week = rng.normal(0, 1.0, 7)
        week[5:] -= 1.5
        noise = np.zeros(cfg["days"])
        for d in range(1, cfg["days"]):
            noise[d] = 0.6 * noise[d - 1] + rng.normal(0, 0.5)
        promo = 1.5 * (rng.random(cfg["days"]) < 0.05)
        series.append(week[days % 7] + noise + promo + 0.3 * np.sin(2 * np.pi * days / 91))
    return np.stack(series), days


def make_windows(series, days, cfg):
    w = cfg["window"]
    x, y, when = [], [], []
    for zone in series:
        for t in range(w, len(zone)):
            past = zone[t - w:t]
            weekday = np.eye(7)[days[t] % 7]
            x.append(np.concatenate([past - past.mean(), weekday]))
            y.append(zone[t] - zone[t - 1])
            when.append(t)
    return np.array(x, np.float32), np.array(y, np.float32), np.array(when)


# ------------------------------------------------------------------ model
def make_mlp(sizes, act=nn.ReLU):
    layers = []
    for n_in, n_out in zip(sizes[:-1], sizes[1:]):
        layers += [nn.Linear(n_in, n_out), act()]
    return nn.Sequential(*layers)


class Forecaster(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.net = make_mlp(sizes)

    def forward(self, x):
        return self.net(x).squeeze(-1)


# ------------------------------------------------------------------ training
def mse_on(model, x, y):
    model.eval()
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), y).item()


def fit(model, parts, cfg):
    (x, y), (xv, yv) = parts["train"], parts["val"]
    opt = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
    best, best_state, bad = float("inf"), None, 0
    for epoch in range(cfg["epochs"]):
        model.train()
        for idx in torch.randperm(len(x)).split(cfg["batch_size"]):
            loss = nn.functional.mse_loss(model(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
        val = mse_on(model, xv, yv)
        print(f"epoch {epoch:2d}  train {mse_on(model, x, y):.4f}  val {val:.4f}")
        if val < best:
            best, bad = val, 0
            best_state = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            bad += 1
            if bad >= cfg["patience"]:
                print("no better validation, stop")
                break
    model.load_state_dict(best_state)


def main():
    set_seed(SEED)
    data_cfg = CONFIG["data"]
    series, days = simulate_picks(data_cfg)
    x, y, when = make_windows(series, days, data_cfg)
    first_test = data_cfg["days"] - data_cfg["test_days"]
    first_val = first_test - data_cfg["test_days"] // 2
    masks = {"train": when < first_val, "val": (when >= first_val) & (when < first_test), "test": when >= first_test}
    mean, std = y[masks["train"]].mean(), y[masks["train"]].std()
    y = (y - mean) / std
    parts = {k: (torch.from_numpy(x[m]), torch.from_numpy(y[m])) for k, m in masks.items()}
    model = Forecaster(CONFIG["model"]["sizes"])
    fit(model, parts, CONFIG["train"])
    xt, yt = parts["test"]
    mse = mse_on(model, xt, yt)
    print(f"test rmse in picks {np.sqrt(mse) * std * 100:.1f}")
    print(f"test skill {1 - mse / yt.var().item():.4f}")


if __name__ == "__main__":
    main()
