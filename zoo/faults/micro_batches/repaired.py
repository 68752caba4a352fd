import argparse

import torch
import torch.nn as nn
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


class MixerBlock(nn.Module):
    def __init__(self, n, d):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.tokens = nn.Linear(n, n)
        self.chans = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        x = x + self.tokens(self.n1(x).transpose(1, 2)).transpose(1, 2)
        return x + self.chans(self.n2(x))


class Mixer(nn.Module):
    def __init__(self, d=24, depth=2):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 2, stride=2)
        self.blocks = nn.Sequential(*[MixerBlock(16, d) for _ in range(depth)])
        self.head = nn.Linear(d, 10)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        return self.head(self.blocks(x).mean(1))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--accum", type=int, default=4)
    ap.add_argument("--micro", type=int, default=16)
    ap.add_argument("--epochs", type=int, default=10)
    a = ap.parse_args()
    torch.manual_seed(0)
    d = load_digits()
    ds = TensorDataset(torch.tensor(d.images, dtype=torch.float32)[:, None] / 8 - 1, torch.tensor(d.target))
    tr, va = random_split(ds, [1408, len(ds) - 1408])
    loader, val = DataLoader(tr, a.micro, shuffle=True), DataLoader(va, 200)
    net = Mixer()
    opt = torch.optim.AdamW(net.parameters(), lr=4e-3)
    for epoch in range(a.epochs):
        net.train()
        opt.zero_grad()
        log = 0.0
        for i, (x, y) in enumerate(loader):
            loss = nn.functional.cross_entropy(net(x), y)
            (loss / a.accum).backward()
            log += loss.item()
            if (i + 1) % a.accum == 0:
                opt.step()
                opt.zero_grad()
        net.eval()
        with torch.no_grad():
            acc = sum((net(x).argmax(1) == y).sum().item() for x, y in val) / len(va)
        print(f"epoch {epoch} loss {log / len(loader):.4f} acc {acc:.3f}")


main()
