"""Astronomers' sketches of two comet tails, reduced to points in the plane: a DDPM learns the cloud.

The loss plateaus well above zero by nature (part of the noise cannot be guessed).
"""
import math
import os

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

torch.manual_seed(int(os.environ.get("SEED", "0")))
T = 60
beta = torch.linspace(1e-3, 0.16, T)
abar = torch.cumprod(1 - beta, 0)


def tails(n):
    u = torch.rand(n).sqrt()
    side = torch.randint(2, (n,)) * 2.0 - 1
    ang = side * (0.3 + 1.6 * u)
    r = 0.4 + 1.8 * u
    p = torch.stack([r * ang.cos(), r * ang.sin()], 1) + torch.randn(n, 2) * (0.03 + 0.08 * u)[:, None]
    return (p - torch.tensor([0.55, 0.0])) / torch.tensor([0.75, 1.15])


class Denoiser(nn.Module):
    def __init__(self, h=128):
        super().__init__()
        freqs = torch.exp(torch.linspace(0, math.log(200), 12))
        self.register_buffer("freqs", freqs)
        self.inp = nn.Linear(2 + 24, h)
        self.mid = nn.ModuleList(nn.Sequential(nn.LayerNorm(h), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, h))
                                 for _ in range(2))
        self.out = nn.Linear(h, 2)
        nn.init.zeros_(self.out.weight)          # begins by guessing "no noise"
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        a = (t.float() / T)[:, None] * self.freqs
        h = self.inp(torch.cat([x, a.sin(), a.cos()], 1))
        for m in self.mid:
            h = h + m(h)
        return self.out(torch.nn.functional.silu(h))


@torch.no_grad()
def draw(net, n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i)
        eps = net(x, t)
        x = (x - beta[i] / (1 - abar[i]).sqrt() * eps) / (1 - beta[i]).sqrt()
        if i:
            x = x + beta[i].sqrt() * torch.randn_like(x)
    return x


def mmd(a, b):
    k = lambda u, v: sum(torch.exp(-torch.cdist(u, v) ** 2 / (2 * s * s)).mean() for s in (0.1, 0.3, 1.0))
    return (k(a, a) + k(b, b) - 2 * k(a, b)).item()


net = Denoiser()
ema = AveragedModel(net, multi_avg_fn=get_ema_multi_avg_fn(0.995))
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
steps = 1700
sched = torch.optim.lr_scheduler.OneCycleLR(opt, 3e-3, total_steps=steps)
running = None
for step in range(steps):
    x0 = tails(224)
    t = torch.randint(T, (224,))
    noise = torch.randn_like(x0)
    xt = abar[t].sqrt()[:, None] * x0 + (1 - abar[t]).sqrt()[:, None] * noise
    loss = ((net(xt, t) - noise) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    sched.step()
    ema.update_parameters(net)
    running = loss.item() if running is None else 0.98 * running + 0.02 * loss.item()
    if (step + 1) % 340 == 0:
        print(f"step {step + 1} noise mse {running:.3f}")

ema.eval()
real, other = tails(1500), tails(1500)
score = sum(mmd(draw(ema, 1500), tails(1500)) for _ in range(3)) / 3
print(f"mmd of gaussian {mmd(torch.randn(1500, 2), real):.4f}, of a second real draw {mmd(other, real):.4f}")
print(f"mmd of samples {score:.4f}")
