"""Transfer: a backbone trained on numerals 0-4 reads 5-9 from ten labelled images each.

Stage 1 trains the new head on the frozen backbone, stage 2 unfreezes it with a
small rate.  BatchNorm keeps the statistics of the large set in both stages.
"""
import copy
import os

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
SHOTS = 10


class Backbone(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(),
            nn.Conv2d(24, 48, 3, padding=1), nn.BatchNorm2d(48), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(48, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2))

    def forward(self, x):
        return self.layers(x).flatten(1)


def shift(x):
    dx, dy = torch.randint(-1, 2, (2,)).tolist()
    padded = F.pad(x, (1, 1, 1, 1))
    return padded[:, :, 1 + dy:9 + dy, 1 + dx:9 + dx]


@torch.no_grad()
def accuracy(backbone, head, x, y):
    backbone.eval()
    head.eval()
    return (head(backbone(x)).argmax(1) == y).float().mean().item()


def pretrain(x, y, epochs=9):
    backbone, head = Backbone(), nn.Linear(256, 5)
    params = list(backbone.parameters()) + list(head.parameters())
    optimizer = torch.optim.AdamW(params, lr=2e-3, weight_decay=1e-2)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        backbone.train()
        head.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(32):
            loss = F.cross_entropy(head(backbone(shift(x[idx]))), y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        scheduler.step()
        if epoch % 3 == 2:
            print(f"pretraining epoch {epoch + 1:2d}  loss {total / len(x):.4f}")
    return backbone


def stage_one(backbone, head, x, y, steps=200):
    backbone.requires_grad_(False)
    backbone.eval()
    head.train()
    optimizer = torch.optim.Adam(head.parameters(), lr=5e-3)
    for step in range(steps):
        with torch.no_grad():
            features = backbone(shift(x))
        loss = F.cross_entropy(head(features), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"stage 1: loss {loss.item():.4f}")


def stage_two(backbone, head, x, y, steps=120):
    backbone.requires_grad_(True)
    backbone.eval()                                   # BatchNorm statistics stay as they are
    head.train()
    optimizer = torch.optim.Adam([
        {"params": backbone.parameters(), "lr": 1e-4},
        {"params": head.parameters(), "lr": 5e-4}])
    scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, steps)
    for step in range(steps):
        loss = F.cross_entropy(head(backbone(shift(x))), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"stage 2: loss {loss.item():.4f}")


def main():
    torch.manual_seed(SEED)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(digits.target)
    source = labels < 5
    order = torch.randperm(int((~source).sum()))
    x, y = images[~source][order], labels[~source][order] - 5
    few = torch.cat([torch.nonzero(y == c).squeeze(1)[:SHOTS] for c in range(5)])
    rest = torch.ones(len(y), dtype=torch.bool)
    rest[few] = False

    backbone = pretrain(images[source], labels[source])
    untouched = copy.deepcopy(backbone)
    head = nn.Linear(256, 5)
    stage_one(backbone, head, x[few], y[few])
    frozen = accuracy(backbone, head, x[rest], y[rest])
    same = all(torch.equal(a, b) for a, b in zip(backbone.state_dict().values(), untouched.state_dict().values()))
    print(f"backbone unchanged after stage 1: {same}")
    stage_two(backbone, head, x[few], y[few])
    tuned = accuracy(backbone, head, x[rest], y[rest])
    print(f"test accuracy on {int(rest.sum())} images: frozen backbone {frozen:.4f}, fine-tuned {tuned:.4f}")


if __name__ == "__main__":
    main()
