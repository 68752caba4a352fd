"""Thin sections of rock under the microscope: small RGB crops, five minerals."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset


@dataclass
class Args:
    crops: int = 1000
    size: int = 16
    epochs: int = 12
    batch: int = 40
    lr: float = 2e-3
    seed: int = 21


def render(kind: int, size: int, rng: np.random.Generator) -> np.ndarray:
    yy, xx = np.mgrid[0:size, 0:size] / size
    angle = rng.uniform(0, np.pi)
    along = np.cos(angle) * xx + np.sin(angle) * yy
    freq = (2, 3, 5, 5, 7)[kind]
    grain = 0.5 + 0.5 * np.sin(2 * np.pi * (freq * along + rng.uniform()))
    tint = np.array([[0.7, 0.6, 0.5], [0.5, 0.6, 0.7], [0.6, 0.7, 0.5], [0.6, 0.5, 0.7], [0.6, 0.6, 0.6]])[kind]
    img = (0.35 + 0.4 * grain)[None] * tint[:, None, None] + 0.05 * rng.standard_normal((3, size, size))
    return np.clip(img * 255, 0, 255).astype(np.uint8)


def colour_jitter(img: Tensor) -> Tensor:
    gain = 1 + 0.2 * (2 * torch.rand(1) - 1)
    lift = 0.08 * (2 * torch.rand(1) - 1)
    return (img * gain + lift).clamp(0, 1)


class Crops(Dataset):
    def __init__(self, images: np.ndarray, kinds: np.ndarray, augment: bool):
        self.images = images
        self.kinds = kinds
        self.augment = augment

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        img = torch.from_numpy(self.images[i]).float() / 255.0
        if self.augment:
            img = colour_jitter(img)
            if torch.rand(()) < 0.5:
                img = img.flip(-1)
        return img * 2 - 1, int(self.kinds[i])


def build() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24 * 16, 5),
    )  # fmt: skip


@torch.no_grad()
def score(net: nn.Module, loader: DataLoader) -> float:
    net.eval()
    hits = sum((net(x).argmax(1) == k).sum().item() for x, k in loader)
    return hits / len(loader.dataset)


def run(args: Args) -> None:
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    kinds = rng.integers(0, 5, args.crops)
    images = np.stack([render(k, args.size, rng) for k in kinds])
    cut = int(0.75 * args.crops)
    train = DataLoader(Crops(images[:cut], kinds[:cut], augment=True), args.batch, shuffle=True)
    test = DataLoader(Crops(images[cut:], kinds[cut:], augment=False), 125)
    net = build()
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    for epoch in range(args.epochs):
        net.train()
        losses = []
        for x, k in train:
            loss = nn.functional.cross_entropy(net(x), k)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
        print(f"[{epoch:02d}] loss={np.mean(losses):.3f} minerals right={score(net, test):.3f}")


if __name__ == "__main__":
    run(Args())
