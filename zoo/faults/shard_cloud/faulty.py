"""Shard cloud: a score-based diffusion (sigma parametrisation, Heun sampler) over five measurements of broken pottery."""
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)

DIM = 5


@dataclass
class Config:
    width: int = 128
    batch: int = 256
    steps: int = 1500
    lr: float = 2e-3
    sigma_min: float = 0.01
    sigma_max: float = 20.0
    levels: int = 24
    rho: float = 7.0
    ema: float = 0.995


def shards(n):
    """Three kilns; length, breadth, thickness, weight and tint depend on one another within each."""
    kiln = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True)
    length = torch.tensor([2.0, 4.0, 7.0])[kiln] + 0.4 * torch.randn(n)
    breadth = 0.6 * length + 0.3 * torch.randn(n)
    thick = torch.tensor([1.2, 0.5, 0.8])[kiln] + 0.1 * torch.randn(n)
    weight = length * breadth * thick / 5 + 0.1 * torch.randn(n)
    tint = torch.where(torch.rand(n) < 0.5, -1.0, 1.0) + 0.2 * torch.randn(n)
    return torch.stack([length, breadth, thick, weight, tint], 1)


class Denoiser(nn.Module):
    """EDM preconditioning with sigma_data = 1."""

    def __init__(self, width):
        super().__init__()
        self.register_buffer("freq", torch.randn(16))
        self.net = nn.Sequential(
            nn.Linear(DIM + 32, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, DIM),
        )

    def forward(self, x, sigma):
        s = sigma.view(-1, 1).expand(len(x), 1)
        ang = 2 * torch.pi * self.freq * s.log() / 4
        c_skip, c_out, c_in = 1 / (1 + s**2), s / (1 + s**2).sqrt(), 1 / (1 + s**2).sqrt()
        return c_skip * x + c_out * self.net(torch.cat([c_in * x, ang.sin(), ang.cos()], 1))


class DiffusionTrainer:
    def __init__(self, cfg, data):
        self.cfg, self.mean, self.std = cfg, data.mean(0), data.std(0)
        self.data = (data - self.mean) / self.std
        self.model = Denoiser(cfg.width)
        self.avg = torch.optim.swa_utils.AveragedModel(
            self.model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(cfg.ema))
        self.opt = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.steps)

    def loss(self, x):
        sigma = (torch.randn(len(x), 1) * 1.2 - 0.8).exp()
        weight = (1 + sigma**2) / sigma**2
        return (weight * (self.model(x + sigma * torch.randn_like(x), sigma) - x) ** 2).mean()

    def fit(self):
        self.model.train()
        for step in range(1, self.cfg.steps + 1):
            loss = self.loss(self.data[torch.randint(len(self.data), (self.cfg.batch,))])
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            self.sched.step()
            self.avg.update_parameters(self.model)
            if step % 300 == 0:
                print(f"step {step:5d}  loss {loss.item():.4f}")

    @torch.no_grad()
    def sample(self, n):
        c, model = self.cfg, self.avg.eval()
        ramp = torch.linspace(0, 1, c.levels)
        a, b = c.sigma_max ** (1 / c.rho), c.sigma_min ** (1 / c.rho)
        sigmas = torch.cat([(a + ramp * (b - a)) ** c.rho, torch.zeros(1)])
        x = sigmas[0] * torch.randn(n, DIM)
        for s, s_next in zip(sigmas[:-1], sigmas[1:]):
            d = (x - model(x, s)) / s
            x_next = x + (s_next - s) * d
            if s_next > 0:
                d = 0.5 * (d + (x_next - model(x_next, s_next)) / s_next)
                x_next = x + (s_next - s) * d
            x = x_next
        return x

    def sliced_wasserstein(self, a, b, n_proj=128):
        """W1 between equally many points, averaged over random directions."""
        dirs = F.normalize(torch.randn(n_proj, DIM), dim=1)
        pa, pb = (torch.einsum("nd,pd->np", v, dirs).sort().values for v in (a, b))
        return (pa - pb).abs().mean().item()

    def evaluate(self, held_out, n=4000):
        ref = (held_out[:n] - self.mean) / self.std
        made = self.sample(n)
        gap = (torch.corrcoef(made.T) - torch.corrcoef(ref.T)).abs().max().item()
        return gap, self.sliced_wasserstein(made, ref)


trainer = DiffusionTrainer(Config(), shards(10_000))
trainer.fit()
gap, swd = trainer.evaluate(shards(4000))
print(f"largest correlation gap {gap:.3f}")
print(f"sliced wasserstein {swd:.4f}")
