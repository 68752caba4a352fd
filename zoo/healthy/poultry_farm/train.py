"""A poultry farm predicts eggs, feed and weight gain of a barn from its climate; many records have holes."""
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Settings:
    seed: int = int(os.environ.get("SEED", "0"))
    rows: int = 5000
    holes: float = 0.25
    hidden: int = 64
    lr: float = 3e-3
    batch: int = 50
    epochs: int = 60


NAMES = ["eggs a day", "feed in kg", "gain in g"]


def records(s):
    rng = np.random.default_rng(s.seed)
    temp = rng.normal(19, 5, s.rows)
    light = rng.uniform(8, 17, s.rows)
    humidity = rng.uniform(35, 85, s.rows)
    hens = rng.uniform(200, 900, s.rows)
    age = rng.uniform(18, 80, s.rows)
    comfort = np.exp(-((temp - 20) / 8) ** 2) * np.exp(-((humidity - 60) / 30) ** 2)
    eggs = hens * (0.45 + 0.4 * comfort) * (1 - np.exp(-(light - 6) / 3)) * (1.1 - age / 150) + rng.normal(0, 15, s.rows)
    feed = hens * (0.11 + 0.002 * np.maximum(18 - temp, 0)) + rng.normal(0, 3, s.rows)
    gain = 3 + 2 * comfort - 0.03 * age + rng.normal(0, 1.2, s.rows)
    y = np.stack([eggs, feed, gain], 1)
    x = np.stack([temp, light, humidity, hens, age], 1)
    y_seen = y.copy()
    y_seen[rng.random(y.shape) < s.holes] = np.nan
    return x, y, y_seen


def masked_mse(pred, target):
    """Mean over the numbers that were written down."""
    known = ~torch.isnan(target)
    return ((pred - torch.nan_to_num(target)) ** 2)[known].mean()


def r2(pred, y):
    return 1 - ((pred - y) ** 2).sum(0) / ((y - y.mean(0)) ** 2).sum(0)


def main(s):
    torch.manual_seed(s.seed)
    x, y, y_seen = records(s)
    n = int(s.rows * 0.8)
    xm, xs = x[:n].mean(0), x[:n].std(0)
    ym, ys = np.nanmean(y_seen[:n], 0), np.nanstd(y_seen[:n], 0)
    x = torch.tensor((x - xm) / xs, dtype=torch.float32)
    t = torch.tensor((y_seen - ym) / ys, dtype=torch.float32)

    model = nn.Sequential(nn.Linear(5, s.hidden), nn.Tanh(), nn.Linear(s.hidden, s.hidden), nn.Tanh(),
                          nn.Linear(s.hidden, len(NAMES)))
    opt = torch.optim.Adam(model.parameters(), lr=s.lr)
    warmup = torch.optim.lr_scheduler.LinearLR(opt, start_factor=0.2, total_iters=3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, s.epochs - 3)
    sched = torch.optim.lr_scheduler.SequentialLR(opt, [warmup, decay], milestones=[3])
    for epoch in range(s.epochs):
        model.train()
        total, batches = 0.0, 0
        for idx in torch.randperm(n).split(s.batch):
            opt.zero_grad()
            loss = masked_mse(model(x[idx]), t[idx])
            loss.backward()
            opt.step()
            total, batches = total + loss.item(), batches + 1
        sched.step()
        if epoch % 5 == 0 or epoch == s.epochs - 1:
            print(f"epoch {epoch:2d} loss {total / batches:.4f}")
    model.eval()
    with torch.no_grad():
        pred = model(x[n:]).numpy() * ys + ym
    scores = r2(pred, y[n:])          # the held-out records were completed afterwards
    for name, score in zip(NAMES, scores):
        print(f"{name}: R2 {score:.3f}")
    print(f"mean test R2 {scores.mean():.3f}")


if __name__ == "__main__":
    main(Settings())
