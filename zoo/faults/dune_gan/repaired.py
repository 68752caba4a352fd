import argparse

import numpy as np
import torch
import torch.nn as nn
from scipy.stats import wasserstein_distance


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--noise", type=int, default=6)
    p.add_argument("--width", type=int, default=64)
    p.add_argument("--batch", type=int, default=96)
    p.add_argument("--iters", type=int, default=900)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--seed", type=int, default=11)
    return p.parse_args()


def dunes(n, points=24):
    """Cross-sections of dunes: slow rise in the wind, steep fall behind the crest."""
    x = torch.linspace(0, 1, points)
    crest = 0.45 + 0.3 * torch.rand(n, 1)
    height = 0.5 + 0.5 * torch.rand(n, 1)
    rise = x / crest
    fall = 1 - (x - crest) / (1 - crest)
    return height * torch.minimum(rise, fall ** 2 * (x >= crest) + 2.0 * (x < crest)) * 2 - 1


class Maker(nn.Module):
    def __init__(self, noise, width, points=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(noise, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, points)
        )

    def forward(self, z):
        return self.body(z)


class Judge(nn.Module):
    def __init__(self, width, points=24):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(points, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, 1)
        )

    def forward(self, x):
        return self.body(x).squeeze(-1)


def distance(a, b):
    return float(np.mean([wasserstein_distance(a[:, j].numpy(), b[:, j].numpy()) for j in range(a.shape[1])]))


def main(args):
    torch.manual_seed(args.seed)
    maker, judge = Maker(args.noise, args.width), Judge(args.width)
    opt_judge = torch.optim.Adam(judge.parameters(), lr=args.lr, betas=(0.5, 0.999))
    opt_maker = torch.optim.Adam(maker.parameters(), lr=args.lr, betas=(0.5, 0.999))
    bce = nn.BCEWithLogitsLoss()
    true, false = torch.ones(args.batch), torch.zeros(args.batch)
    reference = dunes(1000)
    for it in range(1, args.iters + 1):
        real = dunes(args.batch)
        fake = maker(torch.randn(args.batch, args.noise))

        opt_judge.zero_grad()
        loss_j = bce(judge(real), true) + bce(judge(fake.detach()), false)
        loss_j.backward()
        opt_judge.step()

        opt_maker.zero_grad()
        loss_m = bce(judge(fake), true)
        loss_m.backward()
        opt_maker.step()

        if it % 100 == 0:
            with torch.no_grad():
                d = distance(maker(torch.randn(1000, args.noise)), reference)
            print(f"[{it}/{args.iters}] judge {loss_j.item():.3f} maker {loss_m.item():.3f} wasserstein {d:.4f}")


if __name__ == "__main__":
    main(parse())
