"""Make grain shapes like those of a dune, without a critic: the generator matches kernel means (MMD)."""
import math

import torch
from torch import nn


def grains(n, g=None):
    """Four numbers per grain: log size, elongation, roundness and colour; two rocks, one sorted by the wind."""
    rock = torch.rand(n, generator=g) < 0.35
    u = torch.randn(n, 4, generator=g)
    size = torch.where(rock, 0.9 + 0.25 * u[:, 0], -0.4 + 0.5 * u[:, 0])
    long = 0.6 * size**2 + 0.3 * u[:, 1]
    roundness = torch.tanh(1.5 * size + 0.4 * u[:, 2])
    colour = torch.where(rock, 1.0 + 0.2 * u[:, 3], -0.8 + 0.3 * u[:, 3])
    return torch.stack([size, long, roundness, colour], 1)


def kernel(a, b, widths=(0.2, 0.5, 1.0, 2.0)):
    d2 = (a[:, None] - b[None]).pow(2).sum(-1)
    return sum(torch.exp(-d2 / (2 * w * w)) for w in widths) / len(widths)


def mmd2(fake, real):
    """Unbiased; below 0 about half of the time when both are alike."""
    n, m = len(fake), len(real)
    ff, rr = kernel(fake, fake), kernel(real, real)
    ff = (ff.sum() - ff.diagonal().sum()) / (n * (n - 1))
    rr = (rr.sum() - rr.diagonal().sum()) / (m * (m - 1))
    return ff + rr - 2 * kernel(fake, real).mean()


def judge(make, real):
    with torch.no_grad():
        fake = make(torch.randn(len(real), 6))
        value = mmd2(fake, real).item()
        rock = (fake[:, 3] > 0.1).float().mean().item()
    return math.copysign(math.sqrt(abs(value)), value), rock


def build():
    layers, n_in = [], 6
    for width in (96, 96):
        layers += [nn.Linear(n_in, width), nn.LeakyReLU(0.1)]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, 4))


def main():
    torch.manual_seed(38)
    g = torch.Generator().manual_seed(38)
    dune, others = grains(5000, g), grains(1500, g)
    mean, std = dune.mean(0), dune.std(0)
    dune, others = (dune - mean) / std, (others - mean) / std
    make = build()
    opt = torch.optim.Adam(make.parameters(), lr=6e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 600, eta_min=5e-5)
    print(f"untrained {judge(make, others)[0]:.4f}")
    for step in range(1, 601):
        real = dune[torch.randint(len(dune), (200,))]
        loss = mmd2(make(torch.randn(200, 6)), real)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if step % 100 == 0:
            distance, rock = judge(make, others)
            print(f"step {step}: mmd2 {loss.item():+.5f}, distance to other grains {distance:.4f}, dark rock {rock:.3f}")


main()
