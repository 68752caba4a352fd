"""Which programme does the washing machine run? 1-D convolution over its current."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)

PROGRAMMES = ["cotton", "wool", "quick", "rinse", "spin"]
LENGTH = 96


def record(kind, rng):
    t = np.arange(LENGTH)
    phase = rng.uniform(0, 2 * np.pi)
    base = {
        0: np.sin(2 * np.pi * t / 16 + phase),
        1: np.sin(2 * np.pi * t / 24 + phase),
        2: np.sign(np.sin(2 * np.pi * t / 16 + phase)),
        3: np.sin(2 * np.pi * t / 16 + phase) * (1 + 0.8 * np.sin(2 * np.pi * t / 48)),
        4: np.sin(2 * np.pi * t / (12 + 10 * t / LENGTH) + phase),
    }[kind]
    motor = rng.uniform(0.5, 1.5) * base + 0.45 * rng.standard_normal(LENGTH)
    pump = 0.6 * np.roll(base, 5) + 0.6 * rng.standard_normal(LENGTH)
    return np.stack([motor, pump]).astype(np.float32)


class Loads(Dataset):
    def __init__(self, n, seed):
        rng = np.random.default_rng(seed)
        self.kind = rng.integers(0, len(PROGRAMMES), n)
        self.signal = np.stack([record(k, rng) for k in self.kind])

    def __len__(self):
        return len(self.kind)

    def __getitem__(self, i):
        return torch.from_numpy(self.signal[i]), int(self.kind[i])


class ResBlock(nn.Module):
    def __init__(self, ch, dilation):
        super().__init__()
        self.c1 = nn.Conv1d(ch, ch, 5, padding=2 * dilation, dilation=dilation)
        self.c2 = nn.Conv1d(ch, ch, 5, padding=2 * dilation, dilation=dilation)
        self.n1 = nn.BatchNorm1d(ch)
        self.n2 = nn.BatchNorm1d(ch)

    def forward(self, x):
        h = F.relu(self.n1(self.c1(x)))
        h = self.n2(self.c2(h))
        return F.relu(x + h)


class LoadNet(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.stem = nn.Conv1d(2, ch, 7, padding=3)
        self.blocks = [ResBlock(ch, d) for d in (1, 2)]
        self.head = nn.Linear(ch, len(PROGRAMMES))

    def forward(self, x):
        h = F.relu(self.stem(x))
        for b in self.blocks:
            h = b(h)
        return self.head(h.mean(dim=-1))


class EarlyStopping:
    def __init__(self, patience):
        self.patience, self.best, self.count, self.state = patience, float("inf"), 0, None

    def __call__(self, value, model):
        if value < self.best:
            self.best, self.count = value, 0
            self.state = {k: v.detach().clone() for k, v in model.state_dict().items()}
        else:
            self.count += 1
        return self.count >= self.patience


def run_epoch(model, loader, optimizer=None):
    training = optimizer is not None
    model.train(training)
    loss_sum, hits, n = 0.0, 0, 0
    with torch.set_grad_enabled(training):
        for x, y in loader:
            logits = model(x)
            loss = F.cross_entropy(logits, y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
            n += len(y)
    return loss_sum / n, hits / n


def main():
    train = DataLoader(Loads(600, SEED), batch_size=32, shuffle=True)
    valid = DataLoader(Loads(200, SEED + 1000), batch_size=100)
    test = DataLoader(Loads(400, SEED + 2000), batch_size=100)
    model = LoadNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    stopper = EarlyStopping(patience=6)
    for epoch in range(14):
        tl, ta = run_epoch(model, train, optimizer)
        vl, va = run_epoch(model, valid)
        print(f"epoch {epoch + 1:2d}: train {tl:.3f}/{ta:.3f}  valid {vl:.3f}/{va:.3f}")
        if stopper(vl, model):
            break
    model.load_state_dict(stopper.state)
    print(f"test accuracy {run_epoch(model, test)[1]:.4f}")


if __name__ == "__main__":
    main()
