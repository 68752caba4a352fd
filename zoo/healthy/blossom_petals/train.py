"""Count the petals (3 to 7) of blossoms drawn on 24x24 images with a small ConvNeXt."""
import argparse
import math
import tempfile
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    epochs: int = 8
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 0.05
    smoothing: float = 0.1
    seed: int = 11


def draw_blossoms(n, gen):
    """Soft-edged closed outlines r(theta) = r0 (1 + a cos k(theta - phi)) on a noisy sloping background."""
    label = torch.randint(0, 5, (n,), generator=gen)

    def uniform(low, high):
        return (low + (high - low) * torch.rand(n, generator=gen)).view(n, 1, 1)

    axis = torch.arange(24.0) - 11.5
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    dx, dy = xx - uniform(-1, 1), yy - uniform(-1, 1)
    radius, theta = (dx**2 + dy**2).sqrt(), torch.atan2(dy, dx)
    petals = (label + 3).view(n, 1, 1)
    outline = uniform(6.0, 8.0) * (1 + uniform(0.25, 0.4) * torch.cos(petals * theta - uniform(0, 2 * math.pi)))
    image = uniform(0.5, 1.0) * torch.sigmoid((outline - radius) / 0.6)
    image = image + uniform(-0.01, 0.01) * xx + 0.12 * torch.randn(n, 24, 24, generator=gen)
    return image.unsqueeze(1), label


class Block(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.depthwise = nn.Conv2d(dim, dim, 5, padding=2, groups=dim)
        self.norm = nn.GroupNorm(1, dim)
        self.expand = nn.Conv2d(dim, 2 * dim, 1)
        self.project = nn.Conv2d(2 * dim, dim, 1)
        self.scale = nn.Parameter(torch.full((dim, 1, 1), 0.1))

    def forward(self, x):
        return x + self.scale * self.project(F.gelu(self.expand(self.norm(self.depthwise(x)))))


def build_model():
    return nn.Sequential(
        nn.Conv2d(1, 20, 4, stride=2, padding=1), nn.GroupNorm(1, 20), Block(20),
        nn.Conv2d(20, 40, 2, stride=2), nn.GroupNorm(1, 40), Block(40), Block(40),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(40), nn.Linear(40, 5))


class Trainer:
    def __init__(self, cfg, model, train_set, val_set, folder):
        self.cfg, self.model = cfg, model
        self.best_path, self.best = Path(folder) / "best.pt", 0.0
        self.train_loader = DataLoader(train_set, cfg.batch_size, shuffle=True, drop_last=True)
        self.val_loader = DataLoader(val_set, 256)
        decay = [m.weight for m in model.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
        decayed = {id(p) for p in decay}
        rest = [p for p in model.parameters() if id(p) not in decayed]
        self.opt = torch.optim.AdamW([{"params": decay, "weight_decay": cfg.weight_decay},
                                      {"params": rest, "weight_decay": 0.0}], lr=cfg.lr)
        self.sched = torch.optim.lr_scheduler.OneCycleLR(
            self.opt, cfg.lr, total_steps=cfg.epochs * len(self.train_loader), pct_start=0.2)

    @staticmethod
    def augment(x):
        if torch.rand(()) < 0.5:
            x = x.flip(-1)
        return torch.rot90(x, int(torch.randint(0, 4, ())), dims=(-2, -1))

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            loss = F.cross_entropy(self.model(self.augment(x)), y, label_smoothing=self.cfg.smoothing)
            self.opt.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 2.0)
            self.opt.step()
            self.sched.step()
            total += loss.item()
        return total / len(self.train_loader)

    @torch.no_grad()
    def accuracy(self, loader):
        self.model.eval()
        hits = sum((self.model(x).argmax(1) == y).sum().item() for x, y in loader)
        return hits / len(loader.dataset)

    def fit(self):
        for epoch in range(self.cfg.epochs):
            loss, acc = self.train_epoch(), self.accuracy(self.val_loader)
            if acc > self.best:
                self.best = acc
                torch.save(self.model.state_dict(), self.best_path)
            print(f"epoch {epoch:2d}  loss {loss:.3f}  val acc {acc:.3f}")
        self.model.load_state_dict(torch.load(self.best_path))


def main():
    parser = argparse.ArgumentParser()
    for name, value in vars(Config()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    cfg = Config(**vars(parser.parse_args()))
    torch.manual_seed(cfg.seed)
    images, labels = draw_blossoms(3600, torch.Generator().manual_seed(cfg.seed))
    images = (images - images[:2200].mean()) / images[:2200].std()
    parts = [TensorDataset(images[a:b], labels[a:b]) for a, b in ((0, 2200), (2200, 2800), (2800, 3600))]
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(cfg, build_model(), parts[0], parts[1], folder)
        trainer.fit()
        print(f"test accuracy {trainer.accuracy(DataLoader(parts[2], 256)):.3f} (chance 0.200)")


if __name__ == "__main__":
    main()
