"""Denoising diffusion of a two-dimensional cloud shaped like a V."""
import math

import numpy as np
import torch
from torch import nn
from scipy.spatial.distance import cdist

torch.manual_seed(19)
rng = np.random.default_rng(19)


def cloud(n):
    t = rng.uniform(-1, 1, n)
    xy = np.stack([1.5 * t, 2 * np.abs(t) - 1], 1) + 0.08 * rng.normal(size=(n, 2))
    return torch.tensor(xy, dtype=torch.float32)


T = 60
betas = torch.linspace(1e-3, 0.12, T)
alphas = 1 - betas
abar = torch.cumprod(alphas, 0)


def embed(t):
    freqs = torch.exp(-math.log(100.0) * torch.arange(8) / 8)
    a = t[:, None].float() * freqs
    return torch.cat([a.sin(), a.cos()], 1)


net = nn.Sequential(nn.Linear(2 + 16, 96), nn.SiLU(), nn.Linear(96, 96), nn.SiLU(), nn.Linear(96, 2))
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 1200)
train_xy = cloud(2000)
test_xy = cloud(500)


def draw(n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i)
        with torch.no_grad():
            eps = net(torch.cat([x, embed(t)], 1))
        x = (x - betas[i] / (1 - abar[i]).sqrt() * eps) / alphas[i].sqrt()
        if i:
            x = x + betas[i].sqrt() * torch.randn_like(x)
    return x


def energy(a, b):
    return 2 * cdist(a, b).mean() - cdist(a, a).mean() - cdist(b, b).mean()


running = 0.0
for step in range(1, 1201):
    x0 = train_xy[torch.randint(len(train_xy), (128,))]
    t = torch.randint(T, (128,))
    noise = torch.randn_like(x0)
    keep = abar[t][:, None]
    xt = keep.sqrt() * x0 + (1 - keep).sqrt() * torch.randn_like(x0)
    guess = net(torch.cat([xt, embed(t)], 1))
    loss = (guess - noise).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    running += loss.item()
    if step % 300 == 0:
        print(f"{step}: loss {running / 300:.4f}, energy distance {energy(draw(500).numpy(), test_xy.numpy()):.4f}")
        running = 0.0
