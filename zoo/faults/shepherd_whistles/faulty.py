"""Which command did the shepherd whistle? A small 1-d convolutional recogniser on short recordings."""
import math
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

COMMANDS = ["come-by", "away", "lie-down", "walk-on", "look-back", "that-will-do"]
LENGTH = 256


def contour(command: int, t: np.ndarray, rng) -> np.ndarray:
    """Pitch of the whistle over the time of the clip, in cycles per clip."""
    pitch = rng.uniform(0.85, 1.15)
    if command == 0:
        f = 14 + 22 * t
    elif command == 1:
        f = 36 - 22 * t
    elif command == 2:
        f = 25 + 12 * np.sin(math.pi * t)
    elif command == 3:
        f = np.full_like(t, 38.0)
    elif command == 4:
        f = np.full_like(t, 16.0)
    else:
        f = np.where(t < rng.uniform(0.4, 0.6), 16.0, 34.0)
    return f * pitch


def record(n_per_command: int, rng):
    t = np.linspace(0.0, 1.0, LENGTH)
    clips, labels = [], []
    for command in range(len(COMMANDS)):
        for _ in range(n_per_command):
            phase = 2 * math.pi * (np.cumsum(contour(command, t, rng)) / LENGTH + rng.random())
            loud = rng.uniform(0.5, 1.5)
            clips.append(loud * np.sin(phase) + 0.45 * rng.standard_normal(LENGTH))
            labels.append(command)
    x = torch.tensor(np.stack(clips), dtype=torch.float32).unsqueeze(1)
    return TensorDataset(x, torch.tensor(labels))


class Block(nn.Module):
    def __init__(self, c_in, c_out, k, p):
        super().__init__()
        self.conv = nn.Conv1d(c_in, c_out, k, stride=2, padding=k // 2, bias=False)
        self.norm = nn.BatchNorm1d(c_out)
        self.drop = nn.Dropout(p)

    def forward(self, x):
        return self.drop(torch.relu(self.norm(self.conv(x))))


class WhistleNet(nn.Module):
    def __init__(self, n_out: int, p: float = 0.2):
        super().__init__()
        self.blocks = nn.Sequential(Block(1, 16, 9, p), Block(16, 32, 7, p), Block(32, 32, 5, p))
        self.head = nn.Linear(32, n_out)

    def forward(self, x):
        return self.head(self.blocks(x).mean(dim=-1))


class Trainer:
    def __init__(self, net, train_set, test_set, epochs=10, lr=4e-3):
        self.net = net
        self.epochs = epochs
        self.train_loader = DataLoader(train_set, batch_size=32, shuffle=True, drop_last=True)
        self.test_loader = DataLoader(test_set, batch_size=20)
        self.opt = torch.optim.AdamW(net.parameters(), lr=lr, weight_decay=0.01)
        total = epochs * len(self.train_loader)
        warm = total // 10
        self.sched = torch.optim.lr_scheduler.LambdaLR(
            self.opt,
            lambda s: (s + 1) / warm if s < warm else 0.5 * (1 + math.cos(math.pi * (s - warm) / (total - warm))),
        )

    def train_epoch(self):
        self.net.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            self.opt.zero_grad()
            loss = nn.functional.cross_entropy(self.net(x), y)
            loss.backward()
            self.opt.step()
            self.sched.step()
            total += loss.item() * len(y)
            seen += len(y)
        return total / seen

    @torch.no_grad()
    def evaluate(self):
        right, seen = 0, 0
        for x, y in self.test_loader:
            right += (self.net(x).argmax(dim=1) == y).sum().item()
            seen += len(y)
        return right / seen

    def fit(self):
        for epoch in range(self.epochs):
            loss = self.train_epoch()
            if epoch % 3 == 0 or epoch == self.epochs - 1:
                print(f"epoch {epoch:2d}  loss {loss:.4f}  test accuracy {self.evaluate():.4f}")


if __name__ == "__main__":
    rng = np.random.default_rng(SEED)
    trainer = Trainer(WhistleNet(len(COMMANDS)), record(150, rng), record(60, rng))
    trainer.fit()
    print(f"final test accuracy {trainer.evaluate():.4f}")
