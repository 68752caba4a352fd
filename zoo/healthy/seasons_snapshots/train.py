"""Bike counts by hour, weekday and weather: snapshots at the end of each cosine cycle vote together."""
import copy

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingWarmRestarts
from torch.utils.data import DataLoader, TensorDataset


def counts(n, rng):
    hour, day = rng.uniform(0, 24, n), rng.integers(0, 7, n)
    temp, rain = rng.normal(14, 7, n), rng.exponential(0.6, n)
    work = day < 5
    commute = np.exp(-((hour - 8) ** 2) / 2) + np.exp(-((hour - 17.5) ** 2) / 3)
    leisure = np.exp(-((hour - 14) ** 2) / 18)
    rate = 25 + 260 * np.where(work, commute, 0.7 * leisure) + 60 * leisure
    rate = rate * np.exp(-0.5 * rain) * (0.5 + 1 / (1 + np.exp(-(temp - 12) / 4)))
    x = np.column_stack([np.sin(hour * np.pi / 12), np.cos(hour * np.pi / 12), np.sin(hour * np.pi / 6),
                         np.cos(hour * np.pi / 6), np.eye(7)[day], (temp - 14) / 7, rain])
    return x.astype(np.float32), rng.poisson(rate).astype(np.float32)


class SnapshotTrainer:
    def __init__(self, model, loader, cycle_epochs=5, lr=8e-3):
        self.model, self.loader = model, loader
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.cycle = cycle_epochs * len(loader)
        self.scheduler = CosineAnnealingWarmRestarts(self.optimizer, T_0=self.cycle)
        self.loss_fn = nn.PoissonNLLLoss(log_input=True)
        self.snapshots, self.seen = [], 0

    def epoch(self):
        total = 0.0
        for x, y in self.loader:
            loss = self.loss_fn(self.model(x).squeeze(-1), y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            self.seen += 1
            if self.seen % self.cycle == 0:
                self.snapshots.append(copy.deepcopy(self.model).eval().requires_grad_(False))
            total += loss.item()
        return total / len(self.loader)

    def predict(self, x):
        return torch.stack([s(x).squeeze(-1).exp() for s in self.snapshots]).mean(0)


def deviance(rate, y):
    return 2 * (torch.special.xlogy(y, y / rate) - (y - rate)).mean().item()


if __name__ == "__main__":
    torch.manual_seed(2024)
    x, y = counts(2600, np.random.default_rng(2024))
    xa, xb, ya, yb = map(torch.from_numpy, train_test_split(x, y, test_size=0.25, random_state=1))
    net = nn.Sequential(nn.Linear(13, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    nn.init.constant_(net[-1].bias, ya.mean().log().item())
    trainer = SnapshotTrainer(net, DataLoader(TensorDataset(xa, ya), batch_size=50, shuffle=True))
    for epoch in range(1, 21):
        loss = trainer.epoch()
        if epoch % 5 in (0, 1):
            print(f"epoch {epoch} loss {loss:.2f} rate {trainer.scheduler.get_last_lr()[0]:.1e}")
    flat = deviance(ya.mean().expand_as(yb), yb)
    print(f"deviance of the vote {deviance(trainer.predict(xb), yb):.3f} (constant rate {flat:.1f})")
