"""Denoising diffusion on the places where fireflies were seen (two coordinates)."""
import copy
import math
import os
import random

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
random.seed(SEED)
np.random.seed(SEED)
torch.manual_seed(SEED)


def sightings(n: int) -> torch.Tensor:
    """A bright ring around the pond and two clouds over the reeds."""
    part = np.random.choice(3, n, p=[0.5, 0.25, 0.25])
    angle = np.random.uniform(0, 2 * math.pi, n)
    ring = np.stack([1.6 * np.cos(angle), 1.6 * np.sin(angle)], 1)
    centre = np.where((part == 1)[:, None], [[0.5, 0.3]], [[-0.5, -0.3]])
    spread = np.where(part == 0, 0.07, 0.12)[:, None]
    xy = np.where((part == 0)[:, None], ring, centre) + spread * np.random.randn(n, 2)
    return torch.tensor(xy, dtype=torch.float32)


class TimeEmbedding(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.register_buffer("freq", torch.exp(torch.linspace(0, math.log(200.0), dim // 2)))

    def forward(self, t):
        arg = t[:, None] * self.freq
        return torch.cat([arg.sin(), arg.cos()], dim=1)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.time = TimeEmbedding(16)
        self.inp = nn.Linear(2 + 16, width)
        self.mid = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        h = torch.nn.functional.silu(self.inp(torch.cat([x, self.time(t)], 1)))
        for layer in self.mid:
            h = h + torch.nn.functional.silu(layer(h))
        return self.out(h)


class EMA:
    def __init__(self, net, decay=0.99):
        self.decay = decay
        self.net = copy.deepcopy(net).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, net):
        for slow, fast in zip(self.net.parameters(), net.parameters()):
            slow.mul_(self.decay).add_(fast, alpha=1 - self.decay)


class Diffusion:
    def __init__(self, steps=40):
        self.steps = steps
        self.beta = torch.linspace(1e-3, 0.2, steps)
        self.abar = torch.cumprod(1 - self.beta, 0)

    def loss(self, net, x0):
        t = torch.randint(self.steps, (len(x0),))
        noise = torch.randn_like(x0)
        a = self.abar[t].unsqueeze(1)
        xt = a.sqrt() * x0 + (1 - a).sqrt() * noise
        return (net(xt, t / self.steps) - noise).square().mean()

    @torch.no_grad()
    def sample(self, net, n):
        x = torch.randn(n, 2)
        for t in reversed(range(self.steps)):
            eps = net(x, torch.full((n,), t / self.steps))
            b, ab = self.beta[t], self.abar[t]
            x = (x - b / (1 - ab).sqrt() * eps) / (1 - b).sqrt()
            if t > 0:
                x = x + b.sqrt() * torch.randn_like(x)
        return x


def sliced_distance(a, b, n=64):
    """Wasserstein distance over random projections."""
    d = nn.functional.normalize(torch.randn(2, n), dim=0)
    return (torch.sort(a @ d, dim=0).values - torch.sort(b @ d, dim=0).values).abs().mean().item()


def main(epochs=9, batch=128):
    data, test = sightings(12000), sightings(2000)
    loader = DataLoader(TensorDataset(data), batch_size=batch, shuffle=True, drop_last=True)
    net, diffusion = Denoiser(), Diffusion()
    ema = EMA(net)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs * len(loader))
    for epoch in range(epochs):
        total = 0.0
        for (x0,) in loader:
            loss = diffusion.loss(net, x0)
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            opt.step()
            sched.step()
            total += loss.item()
            ema.update(net)
        if epoch % 3 == 0 or epoch == epochs - 1:
            print(f"epoch {epoch:2d}  noise error {total / len(loader):.4f}")
    samples = diffusion.sample(ema.net, len(test))
    print(f"spread of the samples {samples.std(0).tolist()}, of the sightings {test.std(0).tolist()}")
    print(f"sample distance {sliced_distance(samples, test):.4f}")


if __name__ == "__main__":
    main()
