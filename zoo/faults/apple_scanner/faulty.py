"""
The scanner above the belt sees one apple at a time. One network, two heads:
which variety it is, and how wide it is (in millimetres, standardised).
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))

VARIETIES = ["boskoop", "gala", "granny", "jonagold"]
COLOURS = np.array([[0.70, 0.55, 0.30], [0.85, 0.30, 0.25], [0.45, 0.75, 0.25], [0.80, 0.50, 0.25]])


def scan(n, rng):
    yy, xx = np.mgrid[0:16, 0:16]
    imgs = np.empty((n, 3, 16, 16), dtype=np.float32)
    kind = rng.integers(0, 4, n)
    width = rng.uniform(3.0, 7.0, n)
    for i in range(n):
        cy, cx = 7.5 + rng.uniform(-1, 1, 2)
        inside = ((yy - cy) / (width[i] * rng.uniform(0.85, 1.0))) ** 2 + ((xx - cx) / width[i]) ** 2 < 1
        colour = COLOURS[kind[i]] + rng.normal(0, 0.05, 3)
        img = np.where(inside[..., None], colour, 0.15) + rng.normal(0, 0.06, (16, 16, 3))
        imgs[i] = img.transpose(2, 0, 1)
    target = (width - 5.0) / 1.15
    return torch.from_numpy(imgs), torch.from_numpy(kind), torch.tensor(target, dtype=torch.float32)


class AppleNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(24 * 16, 48), nn.ReLU(),
        )
        self.variety = nn.Linear(48, len(VARIETIES))
        self.width = nn.Linear(48, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.variety(h), self.width(h).squeeze(1)


class MultiTaskTrainer:
    def __init__(self, model, weights, lr=2e-3):
        self.model = model
        self.weights = weights
        self.losses = {"variety": nn.CrossEntropyLoss(), "width": nn.SmoothL1Loss()}
        self.optim = torch.optim.Adam(model.parameters(), lr=lr)

    def compute(self, batch):
        x, kind, width = batch
        out_kind, out_width = self.model(x)
        parts = {
            "variety": self.losses["variety"](out_kind, kind),
            "width": self.losses["width"](out_width, width).item(),
        }
        total = sum(self.weights[k] * v for k, v in parts.items())
        return total, parts

    def train_epoch(self, loader):
        self.model.train()
        log = {"variety": 0.0, "width": 0.0}
        for batch in loader:
            total, parts = self.compute(batch)
            self.optim.zero_grad()
            total.backward()
            self.optim.step()
            for k, v in parts.items():
                log[k] += float(v) / len(loader)
        return log

    @torch.no_grad()
    def test(self, loader):
        self.model.eval()
        hits, err, n = 0, 0.0, 0
        for x, kind, width in loader:
            out_kind, out_width = self.model(x)
            hits += (out_kind.argmax(1) == kind).sum().item()
            err += (out_width - width).abs().sum().item()
            n += len(x)
        return hits / n, err / n


def main():
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train = DataLoader(TensorDataset(*scan(1500, rng)), batch_size=50, shuffle=True)
    test = DataLoader(TensorDataset(*scan(400, rng)), batch_size=200)
    trainer = MultiTaskTrainer(AppleNet(), weights={"variety": 1.0, "width": 2.0})
    for epoch in range(8):
        log = trainer.train_epoch(train)
        acc, mae = trainer.test(test)
        print(f"{epoch + 1}: loss variety {log['variety']:.3f}, width {log['width']:.3f} | acc {acc:.3f}, mae {mae:.3f}")
    acc, mae = trainer.test(test)
    print(f"variety accuracy {acc:.4f}")
    print(f"width mae {mae:.4f}")


if __name__ == "__main__":
    main()
