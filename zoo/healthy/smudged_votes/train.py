"""Digits labelled by hasty clerks, a third of them wrongly.  Loss with a floor ("flooding")."""
import math
import os

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
WRONG = 0.33


def load():
    x, y = load_digits(return_X_y=True)
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(x))
    x, y = x[order] / 16.0, y[order]
    given = y.copy()
    bad = rng.random(len(y)) < WRONG
    given[bad] = (y[bad] + rng.integers(1, 10, bad.sum())) % 10
    x = torch.tensor(x, dtype=torch.float32).view(-1, 1, 8, 8)
    return x[:1300], torch.tensor(given[:1300]), torch.tensor(y[:1300]), x[1300:], torch.tensor(y[1300:])


def net():
    return nn.Sequential(nn.Conv2d(1, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Conv2d(24, 48, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
                         nn.Flatten(), nn.Linear(192, 128), nn.ReLU(), nn.Linear(128, 10))


def train(x, labels, floor, epochs=40):
    torch.manual_seed(SEED)
    model = net()
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    loader = DataLoader(TensorDataset(x, labels), batch_size=50, shuffle=True)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        plain = 0.0
        for xb, yb in loader:
            loss = criterion(model(xb), yb)
            flooded = (loss - floor).abs() + floor
            opt.zero_grad()
            flooded.backward()
            opt.step()
            plain += loss.item()
        sched.step()
        if epoch % 10 == 9:
            print(f"  epoch {epoch + 1} loss {plain / len(loader):.3f}")
    return model.eval()


@torch.no_grad()
def accuracy(model, x, y):
    return (model(x).argmax(1) == y).float().mean().item()


def main():
    xtr, given, true, xte, yte = load()
    entropy = -((1 - WRONG) * math.log(1 - WRONG) + WRONG * math.log(WRONG / 9))
    print(f"loss of a perfect reader on these labels: {entropy:.3f}")
    results = {}
    for name, floor in (("no floor", 0.0), ("with floor", round(entropy, 2))):
        print(name)
        model = train(xtr, given, floor)
        results[name] = accuracy(model, xte, yte)
        print(f"  train accuracy by the given labels {accuracy(model, xtr, given):.3f}, by the true {accuracy(model, xtr, true):.3f}")
    print("test accuracy: " + "  ".join(f"{k} {v:.3f}" for k, v in results.items()))


main()
