"""A denoising diffusion model of the islands of an atoll (points in the plane)."""
import copy
import math
import os

import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
T, STEPS, BATCH = 100, 2000, 192


def atoll(n, gen):
    """A broken ring of five islands, one big island in the lagoon's south."""
    k = torch.randint(0, 7, (n,), generator=gen)
    angle = 2 * math.pi * k / 5 + 0.2 * torch.randn(n, generator=gen)
    radius = 3 + 0.3 * torch.randn(n, generator=gen)
    ring = torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)
    big = torch.tensor([0.3, -0.8]) + torch.tensor([0.6, 0.4]) * torch.randn(n, 2, generator=gen)
    return torch.where((k >= 5)[:, None], big, ring)


class Schedule:
    """Variances rise linearly, as in Ho et al., scaled for a hundred steps."""

    def __init__(self, steps):
        self.beta = torch.linspace(1e-3, 0.15, steps)
        self.alpha = 1 - self.beta
        self.bar = torch.cumprod(self.alpha, 0)

    def noisy(self, x, t, noise):
        bar = self.bar[t][:, None]
        return bar.sqrt() * x + (1 - bar).sqrt() * noise


class Denoiser(nn.Module):
    def __init__(self, width=96, bands=16):
        super().__init__()
        self.register_buffer("freq", torch.exp(torch.linspace(0, math.log(100.0), bands)))
        self.register_buffer("space", torch.tensor([1.0, 2.0, 4.0]))
        self.inp = nn.Linear(2 + 12 + 2 * bands, width)
        self.mid = nn.ModuleList(nn.Linear(width, width) for _ in range(2))
        self.out = nn.Linear(width, 2)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x, t):
        phase = (t.float() / T)[:, None] * self.freq
        wave = (x[:, :, None] * self.space).flatten(1)
        inputs = [x, wave.sin(), wave.cos(), phase.sin(), phase.cos()]
        h = nn.functional.silu(self.inp(torch.cat(inputs, 1)))
        for layer in self.mid:
            h = h + nn.functional.silu(layer(h))
        return self.out(h)


@torch.no_grad()
def sample(model, schedule, n):
    x = torch.randn(n, 2)
    for t in reversed(range(T)):
        eps = model(x, torch.full((n,), t))
        x = (x - schedule.beta[t] / (1 - schedule.bar[t]).sqrt() * eps) / schedule.alpha[t].sqrt()
        if t > 0:
            variance = schedule.beta[t] * (1 - schedule.bar[t - 1]) / (1 - schedule.bar[t])
            x = x + variance.sqrt() * torch.randn_like(x)
    return x


def energy_distance(a, b):
    def inside(z):
        return torch.cdist(z, z).sum() / (len(z) * (len(z) - 1))
    return (2 * torch.cdist(a, b).mean() - inside(a) - inside(b)).item()


def main():
    torch.manual_seed(SEED)
    gen = torch.Generator().manual_seed(SEED)
    points = atoll(10000, gen)
    centre, scale = points.mean(0), points.std(0)
    data = (points - centre) / scale

    schedule, model = Schedule(T), Denoiser()
    averaged = copy.deepcopy(model).eval()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    running = 1.0
    for step in range(STEPS):
        x = data[torch.randint(0, len(data), (BATCH,))]
        t = torch.randint(0, T, (BATCH,))
        noise = torch.randn_like(x)
        loss = (model(schedule.noisy(x, t, noise), t) - noise).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            for slow, fast in zip(averaged.parameters(), model.parameters()):
                slow.mul_(0.99).add_(fast, alpha=0.01)
        running = 0.99 * running + 0.01 * loss.item()
        if step % 200 == 199:
            print(f"step {step + 1}  loss {running:.4f}")

    made = sample(averaged, schedule, 3000) * scale + centre
    real, again = atoll(3000, gen), atoll(3000, gen)
    gauss = torch.distributions.MultivariateNormal(real.mean(0), real.T.cov()).sample((3000,))
    print(f"energy distance: Gaussian {energy_distance(gauss, real):.4f}  diffusion {energy_distance(made, real):.4f}  "
          f"real to real {energy_distance(again, real):.4f}")


if __name__ == "__main__":
    main()
