"""Reads the stamped number on ration cards. Cleaning a scan is slow, so each item is kept once it has been prepared."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))


class CardDataset(Dataset):
    _prepared = {}

    def __init__(self, scans, labels, jitter=False):
        self.scans = scans
        self.labels = labels
        self.jitter = jitter

    def __len__(self):
        return len(self.labels)

    def prepare(self, index):
        # stretch the contrast, straighten the mean, frame of one pixel
        if index not in self._prepared:
            img = self.scans[index].astype(np.float32)
            lo, hi = np.percentile(img, [2, 98])
            img = np.clip((img - lo) / max(hi - lo, 1e-3), 0, 1)
            self._prepared[index] = np.pad(img - img.mean(), 1).astype(np.float32)
        return self._prepared[index]

    def __getitem__(self, index):
        img = self.prepare(index)
        if self.jitter:
            img = np.roll(img, (random.randint(-1, 1), random.randint(-1, 1)), (0, 1))
        return torch.from_numpy(np.ascontiguousarray(img)).unsqueeze(0), int(self.labels[index])


class CardNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
        )
        self.classifier = nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.classifier(self.features(x))


def evaluate(net, loader):
    net.eval()
    ok = 0
    with torch.no_grad():
        for x, y in loader:
            ok += (net(x).argmax(1) == y).sum().item()
    return ok / len(loader.dataset)


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    digits = load_digits()
    order = np.random.permutation(len(digits.target))
    scans, labels = digits.images[order], digits.target[order]
    train_set = CardDataset(scans[:1300], labels[:1300], jitter=True)
    test_set = CardDataset(scans[1300:], labels[1300:])
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=128)

    net = CardNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 10)
    for epoch in range(10):
        net.train()
        hit, total = 0, 0.0
        for x, y in train_loader:
            out = net(x)
            loss = nn.functional.cross_entropy(out, y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(y)
            hit += (out.argmax(1) == y).sum().item()
        sched.step()
        print(f"epoch {epoch + 1:2d} loss {total / 1300:.4f} train {hit / 1300:.4f} test {evaluate(net, test_loader):.4f}")
    print(f"test accuracy {evaluate(net, test_loader):.4f}")


if __name__ == "__main__":
    main()
