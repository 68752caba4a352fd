# Denoising diffusion on a cloud of points: two smoke rings
import os, math, random
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

T = 60
BATCH = 256
STEPS = 1000

betas = torch.linspace(1e-4, 0.02, T)
alphas = 1.0 - betas
alpha_bar = torch.cumprod(alphas, dim=0)


def rings(n):
    which = torch.randint(0, 2, (n,)).float()
    angle = 2 * math.pi * torch.rand(n)
    radius = 1.0 + 0.08 * torch.randn(n)
    return torch.stack([4 * which - 2 + radius * torch.cos(angle), radius * torch.sin(angle)], dim=1)


def time_embedding(t, dim=32):
    half = dim // 2
    freqs = torch.exp(-math.log(1000.0) * torch.arange(half) / half)
    args = t.float()[:, None] * freqs[None, :]
    return torch.cat([args.sin(), args.cos()], dim=-1)


class Denoiser(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.inp = nn.Linear(2, width)
        self.temb = nn.Sequential(nn.Linear(32, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.ModuleList([nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width)) for _ in range(3)])
        self.out = nn.Linear(width, 2)

    def forward(self, x, t):
        e = self.temb(time_embedding(t))
        h = self.inp(x)
        for block in self.blocks:
            h = h + block(h + e)
        return self.out(h)


def q_sample(x0, t, noise):
    a = alpha_bar[t][:, None]
    return a.sqrt() * x0 + (1 - a).sqrt() * noise


@torch.no_grad()
def sample(model, n):
    model.eval()
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i)
        eps = model(x, t)
        mean = (x - betas[i] / (1 - alpha_bar[i]).sqrt() * eps) / alphas[i].sqrt()
        if i > 0:
            x = mean + betas[i].sqrt() * torch.randn_like(x)
        else:
            x = mean
    return x


def mmd(a, b):
    """Squared kernel distance of two clouds, sum of three widths."""
    total = 0.0
    for s in (0.1, 0.3, 1.0):
        k = lambda u, v: torch.exp(-torch.cdist(u, v) ** 2 / (2 * s * s)).mean()
        total += (k(a, a) + k(b, b) - 2 * k(a, b)).item()
    return total


data = rings(6000)
model = Denoiser()
ema = Denoiser()
ema.load_state_dict(model.state_dict())
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=STEPS, eta_min=1e-5)

running = None
for step in range(1, STEPS + 1):
    x0 = data[torch.randint(0, len(data), (BATCH,))]
    t = torch.randint(0, T, (BATCH,))
    noise = torch.randn_like(x0)
    xt = q_sample(x0, t, noise)
    pred = model(xt, t)
    loss = F.mse_loss(pred, noise)
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    with torch.no_grad():
        for p, q in zip(ema.parameters(), model.parameters()):
            p.mul_(0.99).add_(q, alpha=0.01)
    running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
    if step % 250 == 0:
        print(f"step {step} loss {running:.4f}")

real = rings(2000)
fake = sample(ema, 2000)
left = (fake - torch.tensor([-2.0, 0.0])).norm(dim=1)
right = (fake - torch.tensor([2.0, 0.0])).norm(dim=1)
near = ((torch.minimum(left, right) - 1).abs() < 0.25).float().mean().item()
print(f"on the rings {near:.4f}")
print(f"distance {mmd(real, fake):.5f}")
