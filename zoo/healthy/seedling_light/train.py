"""Light meter in a seedling house: forecast six half-hours ahead, compared with the naive forecast."""
import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Settings:
    seed: int = int(os.environ.get("SEED", "0"))
    window: int = 48
    ahead: int = 6
    hidden: int = 32
    lr: float = 4e-3
    epochs: int = 8
    batch: int = 64
    clip: float = 1.0


class Windows(Dataset):
    """A window of values and the `ahead` values that follow it."""

    def __init__(self, series, cfg):
        self.series = torch.tensor(series, dtype=torch.float32)
        self.cfg = cfg

    def __len__(self):
        return len(self.series) - self.cfg.window - self.cfg.ahead + 1

    def __getitem__(self, i):
        w, a = self.cfg.window, self.cfg.ahead
        return self.series[i:i + w].unsqueeze(-1), self.series[i + w:i + w + a]


class Forecaster(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.lstm = nn.LSTM(1, cfg.hidden, batch_first=True)
        self.head = nn.Linear(cfg.hidden, cfg.ahead)

    def forward(self, x):
        out, _ = self.lstm(x)
        return x[:, -1] + self.head(out[:, -1])


def light(n, rng):
    t = np.arange(n)
    cloud = np.zeros(n)
    for i in range(1, n):
        cloud[i] = 0.9 * cloud[i - 1] + 0.25 * rng.standard_normal()
    day = np.maximum(0, np.sin(2 * np.pi * t / 48))
    season = 1 + 0.3 * np.sin(2 * np.pi * t / (48 * 30))
    return 100 * day * season * np.exp(0.3 * cloud) + rng.normal(0, 1.0, n)


def mae(model, loader, scale):
    model.eval()
    net, naive, count = 0.0, 0.0, 0
    with torch.no_grad():
        for x, y in loader:
            net += (model(x) - y).abs().sum().item()
            naive += (x[:, -1] - y).abs().sum().item()
            count += y.numel()
    return net / count * scale, naive / count * scale


def main(cfg):
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    series = light(48 * 120, rng)
    a, b = 48 * 84, 48 * 100
    mean, std = series[:a].mean(), series[:a].std()
    series = (series - mean) / std
    train = DataLoader(Windows(series[:a], cfg), cfg.batch, shuffle=True)
    valid = DataLoader(Windows(series[a:b], cfg), 256, shuffle=False)
    test = DataLoader(Windows(series[b:], cfg), 256, shuffle=False)
    model = Forecaster(cfg)
    opt = torch.optim.Adam(model.parameters(), lr=cfg.lr)
    sched = torch.optim.lr_scheduler.StepLR(opt, step_size=3, gamma=0.4)
    for epoch in range(cfg.epochs):
        model.train()
        for x, y in train:
            opt.zero_grad()
            loss = nn.functional.l1_loss(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), cfg.clip)
            opt.step()
        sched.step()
        print(f"epoch {epoch} valid MAE {mae(model, valid, std)[0]:.2f}")
    net, naive = mae(model, test, std)
    print(f"test MAE {net:.2f}  naive {naive:.2f}")


main(Settings())
