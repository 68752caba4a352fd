import copy
import math

import torch
import torch.nn as nn
from sklearn.datasets import make_moons


class Denoiser(nn.Module):
    def __init__(self, width=96, n_freq=8):
        super().__init__()
        self.register_buffer("freq", torch.exp(torch.linspace(0, math.log(200), n_freq)))
        self.inp = nn.Linear(2 + 2 * n_freq, width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(2)
        )
        self.out = nn.Linear(width, 2)
        for block in self.blocks:
            nn.init.zeros_(block[-1].weight)
            nn.init.zeros_(block[-1].bias)

    def forward(self, x, t):
        phase = t[:, None] * self.freq
        h = self.inp(torch.cat([x, phase.sin(), phase.cos()], dim=1))
        for block in self.blocks:
            h = h + block(h)
        return self.out(h)


def cosine_alphas(steps):
    grid = torch.linspace(0, 1, steps + 1)
    f = torch.cos((grid + 0.01) / 1.01 * math.pi / 2) ** 2
    betas = (1 - f[1:] / f[:-1]).clamp(max=0.5)
    return betas, torch.cumprod(1 - betas, 0)


def make_training(points, timesteps=60, lr=2e-3, decay=0.995):
    net = Denoiser()
    ema = copy.deepcopy(net).eval()
    for p in ema.parameters():
        p.requires_grad_(False)
    opt = torch.optim.Adam(net.parameters(), lr=lr)
    betas, abar = cosine_alphas(timesteps)

    def step(batch_size=128):
        x0 = points[torch.randint(len(points), (batch_size,))]
        t = torch.randint(timesteps, (batch_size,))
        eps = torch.randn_like(x0)
        a = abar[t][:, None]
        loss = ((net(a.sqrt() * x0 + (1 - a).sqrt() * eps, t / timesteps) - eps) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        with torch.no_grad():
            for slow, p in zip(ema.parameters(), net.parameters()):
                slow.mul_(decay).add_(p, alpha=1 - decay)
        return loss.item()

    @torch.no_grad()
    def sample(n):
        x = torch.randn(n, 2)
        for i in reversed(range(timesteps)):
            eps = ema(x, torch.full((n,), i / timesteps))
            x = (x - betas[i] / (1 - abar[i]).sqrt() * eps) / (1 - betas[i]).sqrt()
            if i:
                x = x + betas[i].sqrt() * torch.randn_like(x)
        return x

    return step, sample


if __name__ == "__main__":
    torch.manual_seed(42)
    xy, _ = make_moons(4000, noise=0.04, random_state=0)
    pts = torch.tensor(xy, dtype=torch.float32)
    pts = (pts - pts.mean(0)) / pts.std(0)
    data, reference = pts[:3000], pts[3000:]
    step, sample = make_training(data)
    running = 1.0
    for i in range(1, 2001):
        running = 0.99 * running + 0.01 * step()
        if i % 400 == 0:
            gen = sample(600)
            d = torch.cdist(gen, reference)
            print(f"{i:5d} loss {running:.3f} precision {d.min(1).values.mean():.3f} recall {d.min(0).values.mean():.3f}")
    d = torch.cdist(torch.randn(600, 2), reference)
    print(f"gaussian noise would have {d.min(1).values.mean():.3f} and {d.min(0).values.mean():.3f}")
