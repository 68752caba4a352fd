"""
Digits written by hand on the forms of a clinic. The backbone is first trained on cheap synthetic
strokes; then a new head is put on and everything is tuned on the few forms that we have labelled.
"""
import os
import random
from typing import Optional

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn, optim

SEED = int(os.environ.get("SEED", "0"))


def strokes(n: int, rng: np.random.Generator):
    """One straight stroke in each 8 x 8 picture; the class is its direction."""
    x = np.zeros((n, 1, 8, 8), dtype=np.float32)
    y = rng.integers(0, 4, n)
    for i in range(n):
        k = int(rng.integers(1, 7))
        if y[i] == 0:
            x[i, 0, k, 1:7] = 1
        elif y[i] == 1:
            x[i, 0, 1:7, k] = 1
        elif y[i] == 2:
            x[i, 0] = np.eye(8, k=k - 4)
        else:
            x[i, 0] = np.fliplr(np.eye(8, k=k - 4))
    x += rng.normal(0, 0.1, x.shape).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(y)


class Backbone(nn.Module):
    def __init__(self, n_features: int = 12):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(64, n_features), nn.ReLU(),
        )
        self.n_features = n_features

    def forward(self, x):
        return self.body(x)


class Classifier(nn.Module):
    def __init__(self, backbone: Backbone, n_classes: int, pretrained: bool = False):
        super().__init__()
        self.backbone = backbone
        self.pretrained = pretrained
        self.head = nn.Sequential(nn.Linear(backbone.n_features, 32), nn.ReLU(), nn.Linear(32, n_classes))

    def features(self, x):
        if self.pretrained:
            with torch.no_grad():
                return self.backbone(x)
        return self.backbone(x)

    def forward(self, x):
        return self.head(self.features(x))


def accuracy(model: nn.Module, x, y) -> float:
    model.eval()
    with torch.no_grad():
        return (model(x).argmax(1) == y).float().mean().item()


def fit(model: nn.Module, x, y, groups, epochs: int, valid: Optional[tuple] = None, batch: int = 32):
    optimizer = optim.AdamW(groups, weight_decay=1e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch):
            loss = loss_fn(model(x[idx]), y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(idx)
        schedule.step()
        if valid is not None and epoch % 4 == 3:
            print(f"  epoch {epoch + 1:2d}  loss {total / len(x):.4f}  validation {accuracy(model, *valid):.4f}")


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)

    print("strokes")
    sx, sy = strokes(1000, rng)
    backbone = Backbone()
    first = Classifier(backbone, 4)
    fit(first, sx, sy, [{"params": first.parameters(), "lr": 3e-3}], epochs=4)
    print(f"  direction of strokes: {accuracy(first, sx, sy):.4f}")

    print("forms")
    images, labels = load_digits(return_X_y=True)
    images = torch.tensor(images / 16.0, dtype=torch.float32).view(-1, 1, 8, 8)
    labels = torch.from_numpy(labels)
    tr, te = train_test_split(np.arange(len(labels)), test_size=0.4, stratify=labels, random_state=SEED)
    model = Classifier(backbone, 10, pretrained=True)
    groups = [
        {"params": model.backbone.parameters(), "lr": 1.5e-3},   # gently, it knows something already
        {"params": model.head.parameters(), "lr": 4e-3},
    ]
    fit(model, images[tr], labels[tr], groups, epochs=16, valid=(images[te], labels[te]))
    print(f"accuracy on forms {accuracy(model, images[te], labels[te]):.4f}")


if __name__ == "__main__":
    main()
