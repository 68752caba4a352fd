"""Screening of moles: which of the pictures should a doctor look at?"""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

config = dict(size=16, screened=2400, rate=0.03, panel=400, batch=48, epochs=8, lr=1.5e-3, weight_decay=1e-3)


def draw(suspicious, rng, size):
    """A dark spot; the suspicious ones have a ragged border and an uneven colour."""
    yy, xx = np.mgrid[0:size, 0:size] - (size - 1) / 2
    yy, xx = yy - rng.uniform(-1.5, 1.5), xx - rng.uniform(-1.5, 1.5)
    angle, dist = np.arctan2(yy, xx), np.hypot(yy, xx)
    ragged = rng.uniform(0.18, 0.45) if suspicious else rng.uniform(0.0, 0.28)
    lobes = rng.integers(3, 6)
    radius = rng.uniform(3.5, 5.0) * (1 + ragged * np.cos(lobes * angle + rng.uniform(0, 2 * math.pi)))
    colour = rng.uniform(0.5, 0.8)
    uneven = (0.15 if suspicious else 0.05) * np.sin(xx * rng.uniform(0.5, 1.0) + rng.uniform(0, 6))
    spot = 1 / (1 + np.exp(2.0 * (dist - radius)))
    return 0.9 - spot * (colour + uneven) + 0.06 * rng.standard_normal((size, size))


def collect(labels, rng, size):
    x = np.stack([draw(bool(l), rng, size) for l in labels]).astype(np.float32)
    x = (x - 0.65) / 0.3
    return TensorDataset(torch.from_numpy(x).unsqueeze(1), torch.tensor(labels, dtype=torch.float32))


class MoleNet(nn.Module):
    def __init__(self):
        super().__init__()

        def stage(c_in, c_out):
            return [nn.Conv2d(c_in, c_out, 3, padding=1), nn.GroupNorm(4, c_out), nn.SiLU(), nn.MaxPool2d(2)]

        self.features = nn.Sequential(*stage(1, 8), *stage(8, 16), *stage(16, 24))
        self.head = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(24 * 4, 1))

    def forward(self, x):
        return self.head(self.features(x)).squeeze(1)


@torch.no_grad()
def assess(model, loader):
    model.eval()
    scores, truth = [], []
    for x, y in loader:
        scores.append(torch.sigmoid(model(x)))
        truth.append(y)
    called, truth = torch.cat(scores) > 0.5, torch.cat(truth) > 0.5
    sensitivity = called[truth].float().mean().item()
    specificity = (~called[~truth]).float().mean().item()
    return sensitivity, specificity


def main(cfg):
    rng = np.random.default_rng(seed)
    train_labels = (rng.random(cfg["screened"]) < cfg["rate"]).astype(int)
    panel_labels = np.repeat([0, 1], cfg["panel"] // 2)  # the panel of the clinic holds as many of each
    train_set = collect(train_labels, rng, cfg["size"])
    panel = collect(panel_labels, rng, cfg["size"])
    loader = DataLoader(train_set, batch_size=cfg["batch"], shuffle=True)
    panel_loader = DataLoader(panel, batch_size=200)

    model = MoleNet()
    criterion = nn.BCEWithLogitsLoss(pos_weight=torch.tensor((train_labels == 0).sum() / (train_labels == 1).sum(), dtype=torch.float32))
    optimizer = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=cfg["weight_decay"])
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, cfg["epochs"])

    for epoch in range(cfg["epochs"]):
        model.train()
        total, right = 0.0, 0
        for x, y in loader:
            if random.random() < 0.5:
                x = x.flip(-1)
            out = model(x)
            loss = criterion(out, y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
            right += ((out > 0) == (y > 0.5)).sum().item()
        scheduler.step()
        if epoch % 2 == 1:
            print(f"epoch {epoch + 1:2d}  loss {total / len(train_set):.4f}  train accuracy {right / len(train_set):.4f}")

    sensitivity, specificity = assess(model, panel_loader)
    print(f"sensitivity {sensitivity:.3f}, specificity {specificity:.3f}")
    print(f"balanced accuracy {(sensitivity + specificity) / 2:.4f}")


if __name__ == "__main__":
    main(config)
