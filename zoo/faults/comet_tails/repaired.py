# tiny DDPM on 2-d points: the dust of comet tails (three bent arms)
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

T = 60
betas = torch.linspace(1e-3, 0.12, T)
alphas = 1 - betas
abar = torch.cumprod(alphas, 0)


def comet(n):
    arm = torch.randint(0, 3, (n,)).float()
    r = torch.rand(n).sqrt() * 1.8 + 0.2
    phi = arm * 2 * math.pi / 3 + 0.7 * r + 0.06 * torch.randn(n)
    return torch.stack([r * phi.cos(), r * phi.sin()], 1)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.temb = nn.Embedding(T, 16)
        self.net = nn.Sequential(
            nn.Linear(2 + 16, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2),
        )

    def forward(self, x, t):
        return self.net(torch.cat([x, self.temb(t)], 1))


def noised(x0, t):
    eps = torch.randn_like(x0)
    a = abar[t].unsqueeze(1)
    return a.sqrt() * x0 + (1 - a).sqrt() * eps, eps


@torch.no_grad()
def sample(model, n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i)
        eps = model(x, t)
        x = (x - betas[i] / (1 - abar[i]).sqrt() * eps) / alphas[i].sqrt()
        if i > 0:
            x = x + betas[i].sqrt() * torch.randn_like(x)
    return x


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


data = comet(6000)
held = comet(1500)
model = Denoiser()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=1500)

running = 0.0
for it in range(1500):
    x0 = data[torch.randint(0, len(data), (128,))]
    t = torch.randint(0, T, (128,))
    xt, eps = noised(x0, t)
    loss = ((model(xt, t) - eps) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    running += loss.item()
    if (it + 1) % 150 == 0:
        print(f"{it + 1:5d}  loss {running / 150:.4f}")
        running = 0.0

with torch.no_grad():
    t = torch.randint(0, T, (len(held),))
    xt, eps = noised(held, t)
    print(f"held-out loss {((model(xt, t) - eps) ** 2).mean():.4f}")
print(f"energy distance {energy_distance(sample(model, 1500), held):.4f}")
