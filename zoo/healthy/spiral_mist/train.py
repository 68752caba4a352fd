import copy
import math

import numpy as np
import torch
from torch import nn


def spiral(n, rng):
    arm = rng.integers(0, 2, n)
    t = np.sqrt(rng.uniform(0.05, 1, n)) * 2.2 * np.pi
    r = 0.3 * t
    xy = np.stack([r * np.cos(t + np.pi * arm), r * np.sin(t + np.pi * arm)], 1)
    return torch.tensor(xy + 0.04 * rng.standard_normal((n, 2)), dtype=torch.float32)


def cosine_alphas(steps, s=0.008):
    t = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    f = torch.cos((t + s) / (1 + s) * math.pi / 2).square()
    beta = (1 - f[1:] / f[:-1]).clamp(max=0.999)
    return beta.float(), torch.cumprod(1 - beta, 0).float()


class Denoiser(nn.Module):
    def __init__(self, width=128, freqs=16):
        super().__init__()
        self.register_buffer("freqs", torch.exp(torch.linspace(0, math.log(1000.0), freqs)))
        self.time = nn.Sequential(nn.Linear(2 * freqs, width), nn.SiLU(), nn.Linear(width, width))
        self.inp = nn.Linear(2, width)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(4))
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in range(4))
        self.out = nn.Linear(width, 2)
        nn.init.zeros_(self.out.weight)      # the first guess is "no noise"
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        angle = t[:, None] * self.freqs
        c = self.time(torch.cat([angle.sin(), angle.cos()], 1))
        h = self.inp(x)
        for layer, norm in zip(self.layers, self.norms):
            h = h + layer(nn.functional.silu(norm(h) + c))
        return self.out(h)


def make_trainer(model, data, steps=100, lr=2e-3, total=2400, batch=256, decay=0.995):
    """Returns a step function and a sampler; both see the same noise schedule and average."""
    beta, alpha_bar = cosine_alphas(steps)
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, lr, total_steps=total, pct_start=0.05)

    def noisy_loss(x):
        # antithetic time steps: one uniform draw, spread over the batch
        t = ((torch.rand(()) + torch.arange(len(x)) / len(x)) % 1 * steps).long()
        noise = torch.randn_like(x)
        a = alpha_bar[t, None]
        guess = model(a.sqrt() * x + (1 - a).sqrt() * noise, t / steps)
        return (guess - noise).square().mean()

    def step():
        loss = noisy_loss(data[torch.randint(len(data), (batch,))])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for a, p in zip(average.parameters(), model.parameters()):
                a.lerp_(p, 1 - decay)
        return loss.item()

    @torch.no_grad()
    def sample(n):
        x = torch.randn(n, 2)
        for i in reversed(range(steps)):
            a, prev = alpha_bar[i], alpha_bar[i - 1] if i else torch.tensor(1.0)
            noise = average(x, torch.full((n,), i / steps))
            clean = ((x - (1 - a).sqrt() * noise) / a.sqrt()).clamp(-3, 3)
            mean = (prev.sqrt() * beta[i] * clean + (1 - beta[i]).sqrt() * (1 - prev) * x) / (1 - a)
            x = mean + (beta[i] * (1 - prev) / (1 - a)).sqrt() * torch.randn_like(x)
        return x

    return step, sample


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def main():
    torch.manual_seed(31)
    rng = np.random.default_rng(31)
    raw, held_out = spiral(8000, rng), spiral(2000, rng)
    center, scale = raw.mean(0), raw.std()
    data, held_out = (raw - center) / scale, (held_out - center) / scale

    total = 2400
    step, sample = make_trainer(Denoiser(), data, total=total)
    recent = []
    for i in range(1, total + 1):
        recent.append(step())
        if i % 400 == 0:
            print(f"step {i}: noise loss {np.mean(recent):.4f}")
            recent.clear()
    drawn = sample(2000)
    off = torch.cdist(drawn, data).min(1).values
    off_gauss = torch.cdist(torch.randn(2000, 2), data).min(1).values
    print(f"energy distance to unseen points: samples {energy_distance(drawn, held_out):.4f}, "
          f"a Gaussian {energy_distance(torch.randn(2000, 2), held_out):.4f}")
    print(f"points farther than 0.1 from the spiral: samples {(off > 0.1).float().mean():.3f}, "
          f"Gaussian {(off_gauss > 0.1).float().mean():.3f}")


if __name__ == "__main__":
    main()
