"""Discs, rings and crescents under a bad microscope."""
import math

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SIZE = 20
KINDS = ("disc", "ring", "crescent", "pair")


def draw(kind, g):
    ax = torch.arange(SIZE, dtype=torch.float32)
    yy, xx = torch.meshgrid(ax, ax, indexing="ij")
    u = torch.rand(4, generator=g)
    cy, cx = 7 + 6 * u[0], 7 + 6 * u[1]
    r = 3.5 + 2.0 * u[2]
    angle = 2 * math.pi * u[3]
    dist = torch.hypot(yy - cy, xx - cx)
    body = torch.sigmoid(2 * (r - dist))
    if KINDS[kind] == "ring":
        body = body - torch.sigmoid(2 * (r - 2.2 - dist))
    elif KINDS[kind] == "crescent":
        other = torch.hypot(yy - cy - 2.5 * angle.sin(), xx - cx - 2.5 * angle.cos())
        body = body * torch.sigmoid(2 * (other - r))
    elif KINDS[kind] == "pair":
        a = torch.hypot(yy - cy - 3 * angle.sin(), xx - cx - 3 * angle.cos())
        b = torch.hypot(yy - cy + 3 * angle.sin(), xx - cx + 3 * angle.cos())
        body = torch.sigmoid(2 * (0.6 * r - a)) + torch.sigmoid(2 * (0.6 * r - b))
    return body


def make_set(n, g):
    kinds = torch.randint(len(KINDS), (n,), generator=g)
    imgs = torch.stack([draw(k, g) for k in kinds.tolist()])
    imgs = imgs + 0.2 * torch.randn(imgs.shape, generator=g)
    return TensorDataset((imgs[:, None] - 0.15) / 0.45, kinds)


def build():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(24 * 25, 48), nn.ReLU(), nn.Linear(48, len(KINDS)),
    )


def train_one_epoch(net, loader, criterion, optimizer):
    net.train()
    total = 0.0
    for imgs, kinds in loader:
        optimizer.zero_grad()
        loss = criterion(net(imgs), kinds)
        total += loss.item() * len(kinds)
    loss.backward()
    optimizer.step()
    return total / len(loader.dataset)


@torch.no_grad()
def accuracy(net, loader):
    net.eval()
    hits = sum((net(imgs).argmax(1) == kinds).sum().item() for imgs, kinds in loader)
    return hits / len(loader.dataset)


def main():
    torch.manual_seed(31)
    g = torch.Generator().manual_seed(31)
    train_loader = DataLoader(make_set(960, g), batch_size=32, shuffle=True)
    test_loader = DataLoader(make_set(400, g), batch_size=200)
    net = build()
    criterion = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
    for epoch in range(10):
        train_loss = train_one_epoch(net, train_loader, criterion, optimizer)
        print(f"[{epoch + 1}/10] train loss {train_loss:.4f}, test accuracy {accuracy(net, test_loader):.4f}")


if __name__ == "__main__":
    main()
