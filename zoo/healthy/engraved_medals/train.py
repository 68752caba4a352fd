"""Carry a numeral reader over to five new numerals with twenty labelled medals of each.

Stage 0 trains a small network on 0-4.  Stage 1 fits a new head on its frozen features.
Stage 2 also opens the last block, at a tenth of the head's rate.
"""
import argparse

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def conv_block(cin, cout, pool):
    layers = [nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU()]
    if pool:
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


class Reader(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.block1 = conv_block(1, 24, False)
        self.block2 = conv_block(24, 48, True)
        self.block3 = conv_block(48, 64, True)
        self.neck = nn.Flatten()
        self.fc = nn.Linear(64 * 4, classes)

    def forward(self, x):
        return self.fc(self.neck(self.block3(self.block2(self.block1(x)))))


class Transferred(nn.Module):
    """Reads the pretrained network at its neck through a forward hook and adds a new head."""

    def __init__(self, base, classes):
        super().__init__()
        self.base = base
        self.tap = None
        base.neck.register_forward_hook(self._catch)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(64 * 4, classes))

    def _catch(self, module, inputs, output):
        self.tap = output

    def forward(self, x):
        self.base(x)
        return self.head(self.tap)

    def train(self, mode=True):
        super().train(mode)
        self.base.eval()          # keep the source statistics: 100 medals are too few for new ones
        return self


def split_data(per_class, seed):
    digits = load_digits()
    x = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 16
    y = torch.tensor(digits.target)
    rng = np.random.default_rng(seed)
    old = rng.permutation(np.flatnonzero(digits.target < 5))
    cut = int(0.85 * len(old))
    few = np.concatenate([rng.permutation(np.flatnonzero(digits.target == c))[:per_class] for c in range(5, 10)])
    rest = np.setdiff1d(np.flatnonzero(digits.target >= 5), few)
    mean, std = x[old[:cut]].mean(), x[old[:cut]].std()
    x = (x - mean) / std
    return [(x[i], y[i] % 5) for i in (old[:cut], old[cut:], few, rest)]


def fit(model, data, optimizer, epochs, batch, schedule=None):
    loader = DataLoader(TensorDataset(*data), batch_size=batch, shuffle=True)
    for _ in range(epochs):
        model.train()
        for xb, yb in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(xb), yb).backward()
            optimizer.step()
        if schedule is not None:
            schedule.step()


@torch.no_grad()
def accuracy(model, data):
    model.eval()
    return (model(data[0]).argmax(1) == data[1]).float().mean().item()


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--per-class", type=int, default=20)
    ap.add_argument("--seed", type=int, default=11)
    args = ap.parse_args()
    torch.manual_seed(args.seed)
    old_train, old_test, few, rest = split_data(args.per_class, args.seed)

    base = Reader(5)
    opt = torch.optim.Adam(base.parameters(), lr=2e-3)
    fit(base, old_train, opt, 12, 64, torch.optim.lr_scheduler.CosineAnnealingLR(opt, 12))
    print(f"source accuracy on held-out 0-4: {accuracy(base, old_test):.3f}")

    base.requires_grad_(False)
    model = Transferred(base, 5)
    fit(model, few, torch.optim.Adam(model.head.parameters(), lr=2e-3), 50, 20)
    print(f"new numerals, head only: {accuracy(model, rest):.3f}")

    base.block3.requires_grad_(True)
    opt = torch.optim.Adam([{"params": base.block3.parameters(), "lr": 3e-4},
                            {"params": model.head.parameters(), "lr": 3e-3}])
    fit(model, few, opt, 60, 20, torch.optim.lr_scheduler.CosineAnnealingLR(opt, 60))
    print(f"new numerals, last block opened ({len(rest[1])} test medals): {accuracy(model, rest):.3f}")


if __name__ == "__main__":
    main()
