import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

SIZE = 20
KINDS = ("disc", "ring", "cross")


@dataclass
class Config:
    n_train: int = 600
    n_test: int = 300
    batch: int = 40
    epochs: int = 16
    lr: float = 2e-3
    position_weight: float = 2.0
    seed: int = 17


def draw(n):
    """Droplets of three kinds somewhere in the frame; where (x, y in -1..1) and which kind."""
    axis = torch.linspace(-1, 1, SIZE)
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    where = torch.empty(n, 2).uniform_(-0.6, 0.6)
    kind = torch.randint(0, len(KINDS), (n,))
    dx = xx[None] - where[:, 0, None, None]
    dy = yy[None] - where[:, 1, None, None]
    r = (dx.square() + dy.square()).sqrt()
    disc = torch.sigmoid((0.25 - r) * 25)
    ring = torch.exp(-((r - 0.25) / 0.07).square())
    cross = torch.exp(-(torch.minimum(dx.abs(), dy.abs()) / 0.07).square()) * (r < 0.35)
    shapes = torch.stack([disc, ring, cross], dim=1)
    image = shapes[torch.arange(n), kind] + 0.15 * torch.randn(n, SIZE, SIZE)
    return image.unsqueeze(1), kind, where


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Flatten(), nn.Linear(24 * 25, 64), nn.ReLU(),
        )
        self.kind = nn.Linear(64, len(KINDS))
        self.where = nn.Linear(64, 2)

    def forward(self, image):
        h = self.trunk(image)
        return self.kind(h), self.where(h)


def mirror(image, where, p=0.5):
    """Left-right flips of a random half of the batch."""
    flip = torch.rand(len(image)) < p
    image = torch.where(flip[:, None, None, None], image.flip(-1), image)
    return image, where


def run(cfg: Config):
    torch.manual_seed(cfg.seed)
    image, kind, where = draw(cfg.n_train)
    test_image, test_kind, test_where = draw(cfg.n_test)
    net = Detector()
    opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
    steps = math.ceil(cfg.n_train / cfg.batch)
    for epoch in range(cfg.epochs):
        net.train()
        perm = torch.randperm(cfg.n_train)
        for s in range(steps):
            pick = perm[s * cfg.batch : (s + 1) * cfg.batch]
            x, position = mirror(image[pick], where[pick])
            logits, guess = net(x)
            loss = F.cross_entropy(logits, kind[pick]) + cfg.position_weight * F.smooth_l1_loss(guess, position)
            opt.zero_grad()
            loss.backward()
            opt.step()
        net.eval()
        with torch.no_grad():
            logits, guess = net(test_image)
        acc = (logits.argmax(1) == test_kind).float().mean().item()
        off = (guess - test_where).norm(dim=1).mean().item()
        if epoch % 3 == 0:
            print(f"{epoch=} loss={loss.item():.3f} kind={acc:.3f} offset={off:.4f}")


run(Config())
