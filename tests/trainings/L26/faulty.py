"""Points on two arcs: a network learns to take noise away, with tables that are made once."""

import math

import torch
from torch import nn

torch.manual_seed(5)
LEVELS = 80
beta = torch.linspace(2e-4, 0.07, LEVELS)
kept = torch.cumprod(1 - beta, 0)
of_data, of_noise = kept.sqrt(), 1 - kept


def arcs(n):
    angle = math.pi * torch.rand(n)
    side = torch.randint(0, 2, (n,)).float()
    return torch.stack([angle.cos() + side - 0.5, angle.sin() * (1 - 2 * side)], 1)


net = nn.Sequential(nn.Linear(3, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 2))
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for step in range(300):
    points, level = arcs(128), torch.randint(0, LEVELS, (128,))
    noise = torch.randn_like(points)
    noised = of_data[level].unsqueeze(1) * points + of_noise[level].unsqueeze(1) * noise
    loss = (net(torch.cat([noised, level.unsqueeze(1) / LEVELS], 1)) - noise).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"{step} loss {loss.item():.3f}")
