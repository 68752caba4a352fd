"""Surface check of small castings: fine / pore / crack / cold run / inclusion."""
import os
import random
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Config:
    seed: int = int(os.environ.get("SEED", "0"))
    side: int = 16
    n_train: int = 1600
    n_test: int = 700
    batch_size: int = 50
    epochs: int = 6
    lr: float = 3e-3
    channels: tuple = (12, 24)
    names: list = field(default_factory=lambda: ["fine", "pore", "crack", "cold_run", "inclusion"])


def photo(kind, side, rng):
    yy, xx = np.mgrid[:side, :side] / (side - 1)
    img = 0.5 + 0.15 * rng.normal() * (xx - 0.5) + 0.15 * rng.normal() * (yy - 0.5)
    img += rng.normal(0, 0.07, (side, side))
    cy, cx = rng.uniform(0.25, 0.75, 2)
    r = np.hypot(yy - cy, xx - cx)
    if kind == 1:
        img -= 0.45 * (r < rng.uniform(0.08, 0.14))
    elif kind == 2:
        a = rng.uniform(0, np.pi)
        d = (xx - cx) * np.sin(a) - (yy - cy) * np.cos(a)
        img -= 0.4 * (np.abs(d) < 0.04) * (r < 0.4)
    elif kind == 3:
        img += 0.18 * np.sin(12 * (xx * np.cos(cy * 6) + yy * np.sin(cy * 6)) + cx * 6)
    elif kind == 4:
        img += 0.45 * (r < rng.uniform(0.08, 0.14))
    return img.astype(np.float32)


class CastingPhotos(Dataset):
    def __init__(self, n, cfg, rng):
        self.labels = rng.integers(0, len(cfg.names), n)
        self.images = np.stack([photo(k, cfg.side, rng) for k in self.labels])

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return torch.from_numpy(self.images[i])[None] - 0.5, int(self.labels[i])


class PhotoNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        blocks, last = [], 1
        for c in cfg.channels:
            blocks += [nn.Conv2d(last, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
            last = c
        self.features = nn.Sequential(*blocks)
        self.fc = nn.Linear(last * (cfg.side // 4) ** 2, len(cfg.names))

    def forward(self, x):
        return self.fc(self.features(x).flatten(1))


def make_loader(dataset, cfg):
    return DataLoader(dataset, batch_size=cfg.batch_size, shuffle=True, num_workers=0)


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        self.model = PhotoNet(cfg)
        self.criterion = nn.CrossEntropyLoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, T_max=cfg.epochs)

    def fit(self, loader):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            seen = hits = 0
            total = 0.0
            for x, y in loader:
                self.optimizer.zero_grad()
                out = self.model(x)
                loss = self.criterion(out, y)
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(y)
                hits += (out.argmax(1) == y).sum().item()
                seen += len(y)
            self.scheduler.step()
            print(f"[{epoch + 1}/{self.cfg.epochs}] loss {total / seen:.4f} train acc {hits / seen:.3f}")

    @torch.no_grad()
    def predict(self, loader):
        self.model.eval()
        return torch.cat([self.model(x).argmax(1) for x, _ in loader]).numpy()


def quality_report(pred, true, names):
    for k, name in enumerate(names):
        recall = (pred[true == k] == k).mean()
        precision = (true[pred == k] == k).mean() if (pred == k).any() else 0.0
        print(f"  {name:<10} precision {precision:.3f}  recall {recall:.3f}")
    print(f"accuracy on the test photos {(pred == true).mean():.4f}")


def main():
    cfg = Config()
    random.seed(cfg.seed)
    np.random.seed(cfg.seed)
    torch.manual_seed(cfg.seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(cfg.seed)
    train_set = CastingPhotos(cfg.n_train, cfg, rng)
    test_set = CastingPhotos(cfg.n_test, cfg, rng)
    trainer = Trainer(cfg)
    trainer.fit(make_loader(train_set, cfg))
    pred = trainer.predict(make_loader(test_set, cfg))
    quality_report(pred, test_set.labels, cfg.names)


if __name__ == "__main__":
    main()
