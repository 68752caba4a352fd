"""Fault classification for spool-winding motors from three current channels."""
import argparse
import os
import tempfile
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    seed: int = 11
    epochs: int = 16
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-2
    patience: int = 5


FAULTS = ["sound", "eccentric", "loose_belt", "worn_bearing", "slip"]
SHARES = [0.52, 0.16, 0.14, 0.10, 0.08]


def record(rng, kind, length=128):
    t = np.arange(length) / length
    f = rng.uniform(6, 9)
    phase = rng.uniform(0, 2 * np.pi)
    amp = np.ones(length)
    if kind == 1:
        amp = 1 + rng.uniform(0.15, 0.4) * np.sin(2 * np.pi * f / 4 * t + rng.uniform(0, 6))
    if kind == 4:
        start = rng.integers(10, 90)
        amp[start:start + 30] *= rng.uniform(0.4, 0.8)
    waves = np.stack([amp * np.sin(2 * np.pi * f * t + phase + k * 2 * np.pi / 3) for k in range(3)])
    if kind == 2:
        waves += rng.uniform(0.15, 0.5) * np.sin(2 * np.pi * rng.uniform(1, 2) * t + rng.uniform(0, 6))
    if kind == 3:
        for at in range(int(rng.integers(0, 20)), length - 4, int(rng.integers(17, 25))):
            waves[:, at:at + 4] += rng.uniform(0.4, 0.9) * np.array([1, -0.8, 0.5, -0.3])
    return 12 + 4 * waves + rng.normal(0, 1.3, waves.shape)


def build(cfg):
    rng = np.random.default_rng(cfg.seed)
    y = rng.choice(len(FAULTS), size=3600, p=SHARES)
    x = np.stack([record(rng, k) for k in y]).astype(np.float32)
    a, b = 2400, 3000
    mean = x[:a].mean(axis=(0, 2), keepdims=True)
    std = x[:a].std(axis=(0, 2), keepdims=True)
    x = torch.from_numpy((x - mean) / std)
    y = torch.from_numpy(y)
    return [TensorDataset(x[s], y[s]) for s in (slice(0, a), slice(a, b), slice(b, None))]


class WinderNet(nn.Module):
    def __init__(self, n_classes):
        super().__init__()
        blocks, width = [], 3
        for out in (12, 24, 32):
            blocks += [nn.Conv1d(width, out, 7, padding=3, bias=False), nn.BatchNorm1d(out), nn.ReLU(), nn.MaxPool1d(2)]
            width = out
        self.features = nn.Sequential(*blocks)
        self.head = nn.Sequential(nn.Dropout(0.2), nn.Linear(2 * width, n_classes))

    def forward(self, x):
        h = self.features(x)
        return self.head(torch.cat([h.mean(-1), h.amax(-1)], dim=1))


class Trainer:
    def __init__(self, cfg, model, train_set, val_set, folder):
        self.cfg, self.model = cfg, model
        gen = torch.Generator().manual_seed(cfg.seed)
        self.train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True, generator=gen)
        self.val_loader = DataLoader(val_set, 256)
        counts = torch.bincount(train_set.tensors[1], minlength=len(FAULTS)).float()
        weight = (counts.sum() / counts).sqrt()
        self.criterion = nn.CrossEntropyLoss(weight=weight / weight.mean())
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, mode="max", factor=0.4, patience=2)
        self.path = os.path.join(folder, "best.pt")

    def train_epoch(self):
        self.model.train()
        total, seen = 0.0, 0
        for x, y in self.train_loader:
            self.optimizer.zero_grad(set_to_none=True)
            loss = self.criterion(self.model(x), y)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(y)
            seen += len(y)
        return total / seen

    @torch.no_grad()
    def macro_f1(self, loader):
        self.model.eval()
        confusion = torch.zeros(len(FAULTS), len(FAULTS))
        for x, y in loader:
            pred = self.model(x).argmax(1)
            confusion.index_put_((y, pred), torch.ones(len(y)), accumulate=True)
        tp = confusion.diag()
        return (2 * tp / (confusion.sum(0) + confusion.sum(1)).clamp_min(1)).mean().item()

    def fit(self):
        best, stale = -1.0, 0
        for epoch in range(self.cfg.epochs):
            loss, f1 = self.train_epoch(), self.macro_f1(self.val_loader)
            self.scheduler.step(f1)
            print(f"epoch {epoch:2d}  loss {loss:.4f}  val macro-F1 {f1:.4f}")
            if f1 > best:
                best, stale = f1, 0
                torch.save(self.model.state_dict(), self.path)
            else:
                stale += 1
                if stale >= self.cfg.patience:
                    break
        self.model.load_state_dict(torch.load(self.path, weights_only=True))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=Config.seed)
    parser.add_argument("--epochs", type=int, default=Config.epochs)
    args = parser.parse_args()
    cfg = Config(seed=args.seed, epochs=args.epochs)
    torch.manual_seed(cfg.seed)
    train_set, val_set, test_set = build(cfg)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(cfg, WinderNet(len(FAULTS)), train_set, val_set, folder)
        trainer.fit()
    print(f"test macro-F1 {trainer.macro_f1(DataLoader(test_set, 256)):.4f}")


if __name__ == "__main__":
    main()
