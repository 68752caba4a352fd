"""Grades of leather with careless labels: SGD and sharpness-aware minimization side by side."""
import os

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import make_classification
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
GRADES, EPOCHS, BATCH = 5, 30, 50


class SAM:
    """Sharpness-aware minimization around any optimizer (Foret et al. 2021)."""

    def __init__(self, base, rho):
        self.base, self.rho = base, rho
        self.moved = []

    def params(self):
        return [p for group in self.base.param_groups for p in group["params"] if p.grad is not None]

    @torch.no_grad()
    def climb(self):
        norm = torch.stack([p.grad.norm() for p in self.params()]).norm()
        self.moved = []
        for p in self.params():
            step = p.grad * (self.rho / (norm + 1e-12))
            p.add_(step)
            self.moved.append((p, step))
        self.base.zero_grad()

    @torch.no_grad()
    def descend(self):
        for p, step in self.moved:
            p.sub_(step)
        self.base.step()
        self.base.zero_grad()


def hides(seed):
    x, y = make_classification(n_samples=5000, n_features=24, n_informative=12, n_redundant=4, n_classes=GRADES,
                               n_clusters_per_class=2, class_sep=1.6, flip_y=0.0, random_state=seed)
    rng = np.random.default_rng(seed)
    y_train = y[:2000].copy()
    wrong = rng.random(2000) < 0.2
    y_train[wrong] = rng.integers(0, GRADES, wrong.sum())
    x = (x - x[:2000].mean(0)) / x[:2000].std(0)
    x = torch.tensor(x, dtype=torch.float32)
    return x[:2000], torch.tensor(y_train), x[2000:], torch.tensor(y[2000:])


def build():
    return nn.Sequential(nn.Linear(24, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(),
                         nn.Linear(64, 64, bias=False), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, GRADES))


def statistics(model, on):
    for m in model.modules():
        if isinstance(m, nn.BatchNorm1d):
            m.momentum = 0.1 if on else 0.0


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def train(x, y, rho):
    model = build()
    base = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=2e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(base, EPOCHS)
    sam = SAM(base, rho) if rho else None
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(BATCH):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            if sam is None:
                base.zero_grad()
                loss.backward()
                base.step()
            else:
                loss.backward()
                sam.climb()
                statistics(model, on=False)
                F.cross_entropy(model(x[idx]), y[idx]).backward()
                statistics(model, on=True)
                sam.descend()
            total += loss.item() * len(idx)
        sched.step()
        if epoch % 10 == 9:
            print(f"rho {rho}: epoch {epoch + 1} training loss {total / len(x):.4f}")
    return model


def main():
    torch.manual_seed(SEED)
    x, y, x_test, y_test = hides(SEED)
    plain = accuracy(train(x, y, rho=0.0), x_test, y_test)
    sharp = accuracy(train(x, y, rho=0.3), x_test, y_test)
    print(f"accuracy against the true grades: SGD {plain:.3f}, SAM {sharp:.3f}")


if __name__ == "__main__":
    main()
