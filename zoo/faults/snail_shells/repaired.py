"""Three species of snails wind differently: classify a point of the shell's outline by its arm."""
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    seed: int = int(os.environ.get("SEED", "0"))
    points_per_arm: int = 500
    batch_size: int = 32
    epochs: int = 20
    lr: float = 0.05
    step_size: int = 8  # halve the learning rate every 8 epochs
    gamma: float = 0.5


def spirals(n: int, rng: np.random.Generator):
    xs, ys = [], []
    for arm in range(3):
        r = np.sqrt(rng.uniform(0.02, 1.0, n))
        a = 4.5 * r + 2 * np.pi * arm / 3 + rng.normal(0, 0.12, n)
        xs.append(np.stack([r * np.cos(a), r * np.sin(a)], axis=1))
        ys.append(np.full(n, arm))
    return np.concatenate(xs).astype(np.float32), np.concatenate(ys)


class Trainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        rng = np.random.default_rng(cfg.seed)
        self.train_loader = DataLoader(self.to_set(*spirals(cfg.points_per_arm, rng)), cfg.batch_size, shuffle=True)
        self.test_loader = DataLoader(self.to_set(*spirals(200, rng)), 600)
        self.model = nn.Sequential(
            nn.Linear(2, 64), nn.Tanh(),
            nn.Linear(64, 64), nn.Tanh(),
            nn.Linear(64, 3),
        )
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=0.9)
        self.scheduler = StepLR(self.optimizer, step_size=cfg.step_size, gamma=cfg.gamma)

    @staticmethod
    def to_set(x, y):
        return TensorDataset(torch.from_numpy(x), torch.from_numpy(y))

    def train_one_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(x)
            seen += len(x)
        return total / seen

    def test(self):
        self.model.eval()
        hits, seen = 0, 0
        with torch.no_grad():
            for x, y in self.test_loader:
                hits += (self.model(x).argmax(dim=-1) == y).sum().item()
                seen += len(y)
        return hits / seen

    def run(self):
        for epoch in range(self.cfg.epochs):
            loss = self.train_one_epoch()
            self.scheduler.step()
            if (epoch + 1) % 5 == 0:
                print(f"epoch {epoch + 1} | train loss {loss:.4f} | test acc {self.test():.4f}")
        return self.test()


if __name__ == "__main__":
    cfg = Config()
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    print(f"species accuracy: {Trainer(cfg).run():.4f}")
