"""Remaining life of escalator motors, with an error bar from many passes through the net."""
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Cfg:
    seed: int = int(os.environ.get("SEED", "0"))
    n: int = 4000
    width: int = 128
    p: float = 0.1
    lr: float = 2e-3
    epochs: int = 16
    passes: int = 60


def motors(cfg):
    rng = np.random.default_rng(cfg.seed)
    x = rng.uniform(-1, 1, (cfg.n, 9))
    life = 2 * np.sin(2 * x[:, 0]) + 1.5 * x[:, 1] * x[:, 2] + np.abs(x[:, 3]) * 2 - x[:, 4] ** 2 + 0.5 * x[:, 5]
    life += rng.normal(0, 0.15, cfg.n)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(life, dtype=torch.float32)


class LifeNet(nn.Module):
    def __init__(self, n_in, cfg):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, cfg.width), nn.ReLU(), nn.Dropout(cfg.p),
            nn.Linear(cfg.width, cfg.width), nn.ReLU(), nn.Dropout(cfg.p),
        )
        self.out = nn.Linear(cfg.width, 1)
        # begin with the mean life of the fleet for everyone
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        return self.out(self.body(x)).squeeze(-1)


@torch.no_grad()
def predict(model, x, passes):
    """Mean and spread over the passes (Gal & Ghahramani): dropout stays on."""
    model.train()
    draws = torch.stack([model(x) for _ in range(passes)])
    return draws.mean(0), draws.std(0)


def main():
    cfg = Cfg()
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(1)

    x, y = motors(cfg)
    n_train = 3000
    mean, std = y[:n_train].mean(), y[:n_train].std()
    y = (y - mean) / std
    loader = DataLoader(TensorDataset(x[:n_train], y[:n_train]), batch_size=64, shuffle=True)
    x_test, y_test = x[n_train:], y[n_train:]

    model = LifeNet(x.shape[1], cfg)
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.epochs)
    for epoch in range(cfg.epochs):
        total = 0.0
        for xb, yb in loader:
            loss = nn.functional.mse_loss(model(xb), yb)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(xb)
        sched.step()
        if epoch % 3 == 0:
            m, s = predict(model, x_test, 10)
            print(f"epoch {epoch:2d} train mse {total / n_train:.4f} test mse {((m - y_test) ** 2).mean():.4f}")

    m, s = predict(model, x_test, cfg.passes)
    err = (m - y_test).abs()
    wide = s > s.median()
    print(f"error of the sure half {err[~wide].mean():.4f}, of the unsure half {err[wide].mean():.4f}")
    print(f"test R2 {1 - ((m - y_test) ** 2).mean() / y_test.var():.4f}")


if __name__ == "__main__":
    main()
