"""Clover DDPM: four-leaf outlines in the plane, noise prediction, samples drawn from the averaged weights."""
import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(29)

T, STEPS, BATCH, EMA_DECAY = 80, 2000, 256, 0.99


def clovers(n):
    phi = 2 * math.pi * torch.rand(n)
    r = 0.5 + 1.5 * torch.cos(2 * phi).abs()
    return torch.stack([r * phi.cos(), r * phi.sin()], 1) + 0.04 * torch.randn(n, 2)


class FiLM(nn.Module):
    def __init__(self, width, cond):
        super().__init__()
        self.lin, self.mod = nn.Linear(width, width), nn.Linear(cond, 2 * width)

    def forward(self, h, c):
        scale, shift = self.mod(c).chunk(2, -1)
        return h + F.silu(self.lin(h) * (1 + scale) + shift)


class NoiseNet(nn.Module):
    def __init__(self, width=96, cond=32):
        super().__init__()
        self.time = nn.Embedding(T, cond)
        self.inp = nn.Linear(2, width)
        self.blocks = nn.ModuleList(FiLM(width, cond) for _ in range(3))
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        c, h = self.time(t), self.inp(x)
        for block in self.blocks:
            h = block(h, c)
        return self.out(h)


data = clovers(10_000)
mean, std = data.mean(0), data.std(0)
data = (data - mean) / std

f = torch.cos((torch.linspace(0, 1, T + 1) + 0.008) / 1.008 * math.pi / 2) ** 2
beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
alpha = 1 - beta
alpha_bar = torch.cumprod(alpha, 0)

net = NoiseNet()
ema_net = copy.deepcopy(net)
for p in ema_net.parameters():
    p.requires_grad_(False)

optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=2e-3, total_steps=STEPS, pct_start=0.1)

net.train()
average = 1.0
for step in range(1, STEPS + 1):
    x0 = data[torch.randint(len(data), (BATCH,))]
    t = torch.randint(0, T, (BATCH,))
    eps = torch.randn_like(x0)
    ab = alpha_bar[t].unsqueeze(1)
    loss = F.mse_loss(net(ab.sqrt() * x0 + (1 - ab).sqrt() * eps, t), eps)

    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    scheduler.step()

    with torch.no_grad():
        for avg, p in zip(ema_net.parameters(), net.parameters()):
            avg.lerp_(p, 1 - EMA_DECAY)

    average = 0.99 * average + 0.01 * loss.item()
    if step % 400 == 0:
        print(f"step {step:5d}  loss {average:.4f}")

ema_net.eval()
with torch.no_grad():
    x = torch.randn(2000, 2)
    for k in reversed(range(T)):
        e = ema_net(x, torch.full((len(x),), k))
        x = (x - beta[k] / (1 - alpha_bar[k]).sqrt() * e) / alpha[k].sqrt()
        if k > 0:
            x = x + (beta[k] * (1 - alpha_bar[k - 1]) / (1 - alpha_bar[k])).sqrt() * torch.randn_like(x)
    made = x * std + mean


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def stray(a, ref):
    return torch.cdist(a, ref).min(1).values.mean().item()


fresh, ref = clovers(2000), clovers(4000)
print(f"energy distance {energy_distance(made, fresh):.4f}  (two real sets {energy_distance(clovers(2000), fresh):.4f})")
print(f"stray distance of real points {stray(fresh, ref):.4f}")
print(f"stray distance {stray(made, ref):.4f}")
