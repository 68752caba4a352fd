"""Rents of attic flats: is a network worth it against a linear model?"""
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    seed: int = int(os.environ.get("SEED", "0"))
    n: int = 6000
    batch_size: int = 64
    epochs: int = 30
    lr: float = 3e-3
    weight_decay: float = 1e-4


def flats(cfg):
    rng = np.random.default_rng(cfg.seed)
    area = rng.gamma(9, 5, cfg.n) + 12
    floor = rng.integers(3, 9, cfg.n)
    lift = rng.random(cfg.n) < 0.5
    year = rng.integers(1890, 2020, cfg.n)
    xy = rng.normal(0, 3.0, (cfg.n, 2))                 # km from the market square
    balcony = rng.random(cfg.n) < 0.3
    distance = np.hypot(xy[:, 0], xy[:, 1])
    river = np.abs(xy[:, 0] - 0.3 * xy[:, 1])
    log_rent = (4.0 + 0.75 * np.log(area) - 0.08 * distance + 0.25 * np.exp(-river ** 2)
                - 0.06 * (floor - 3) * ~lift + 0.12 * balcony
                + 0.2 * ((year - 1955) / 65) ** 2 + rng.normal(0, 0.10, cfg.n))
    x = np.column_stack([area, floor, lift, year, xy, balcony]).astype(np.float32)
    return x, np.exp(log_rent)


def fit(model, x, y, x_val, y_val, cfg, name):
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
    steps = cfg.epochs * -(-len(x) // cfg.batch_size)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda s: 1 - 0.98 * s / steps)
    loss_fn = nn.MSELoss()
    for epoch in range(cfg.epochs):
        model.train()
        for idx in torch.randperm(len(x)).split(cfg.batch_size):
            optimizer.zero_grad()
            loss = loss_fn(model(x[idx])[:, 0], y[idx])
            loss.backward()
            optimizer.step()
            schedule.step()
        model.eval()
        with torch.no_grad():
            val = loss_fn(model(x_val)[:, 0], y_val).item()
        if epoch % 5 == 4:
            print(f"{name:7s} epoch {epoch + 1:2d}  last batch {loss.item():.4f}  validation {val:.4f}")
    return val


def main():
    cfg = Config()
    torch.manual_seed(cfg.seed)
    x, rent = flats(cfg)
    a, b = 4000, 5000
    x_mean, x_std = x[:a].mean(0), x[:a].std(0)
    target = np.log(rent)
    t_mean, t_std = target[:a].mean(), target[:a].std()
    X = torch.tensor((x - x_mean) / x_std)
    T = torch.tensor((target - t_mean) / t_std, dtype=torch.float32)

    models = {
        "linear": nn.Linear(7, 1),
        "network": nn.Sequential(nn.Linear(7, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1)),
    }
    losses = {name: fit(m, X[:a], T[:a], X[a:b], T[a:b], cfg, name) for name, m in models.items()}
    chosen = min(losses, key=losses.get)
    for name, m in models.items():
        with torch.no_grad():
            guess = np.exp(m(X[b:])[:, 0].numpy() * t_std + t_mean)
        error = np.abs(guess - rent[b:])
        mark = "<- chosen on validation" if name == chosen else ""
        print(f"{name:7s} test MAE {error.mean():7.2f}  MAPE {100 * np.mean(error / rent[b:]):5.2f} %  {mark}")
    print(f"mean rent {rent[b:].mean():.0f}; unavoidable MAPE about 8 %")


if __name__ == "__main__":
    main()
