"""Denoising diffusion for positions of starlings: six flocks round the roost."""
import copy
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    steps: int = 60              # diffusion steps
    iterations: int = 2000
    batch: int = 128
    lr: float = 2e-3
    width: int = 96
    ema_decay: float = 0.995
    seed: int = 4


def flocks(n):
    which = np.random.randint(0, 6, n)
    angle = which * (2 * np.pi / 6) + 0.12 * np.random.randn(n)
    radius = 1.4 + 0.08 * np.random.randn(n)
    return torch.tensor(np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1), dtype=torch.float32)


class Denoiser(nn.Module):
    def __init__(self, width, emb=32):
        super().__init__()
        self.register_buffer("freqs", torch.exp(torch.linspace(0, math.log(50.0), emb // 2)))
        self.net = nn.Sequential(
            nn.Linear(2 + emb, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2),
        )

    def forward(self, x, t):
        a = t[:, None] * self.freqs
        return self.net(torch.cat([x, a.sin(), a.cos()], dim=1))


class EMA:
    """Moving average of the weights; samples are drawn from this copy."""

    def __init__(self, model, decay):
        self.decay = decay
        self.shadow = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model):
        for s, p in zip(self.shadow.parameters(), model.parameters()):
            s.lerp_(p, 1 - self.decay)


class Diffusion:
    def __init__(self, cfg):
        self.cfg = cfg
        self.beta = torch.linspace(1e-3, 0.15, cfg.steps)
        self.alpha = 1 - self.beta
        self.abar = torch.cumprod(self.alpha, 0)

    def loss(self, model, x0):
        t = torch.randint(0, self.cfg.steps, (len(x0),))
        eps = torch.randn_like(x0)
        ab = self.abar[t][:, None]
        xt = ab.sqrt() * x0 + (1 - ab).sqrt() * eps
        return nn.functional.mse_loss(model(xt, t / self.cfg.steps), eps)

    @torch.no_grad()
    def sample(self, model, n):
        x = torch.randn(n, 2)
        for i in reversed(range(self.cfg.steps)):
            t = torch.full((n,), i / self.cfg.steps)
            eps = model(x, t)
            x = (x - self.beta[i] / (1 - self.abar[i]).sqrt() * eps) / self.alpha[i].sqrt()
            if i > 0:
                x = x + self.beta[i].sqrt() * torch.randn_like(x)
        return x


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def main(cfg=Config()):
    torch.manual_seed(cfg.seed)
    np.random.seed(cfg.seed)
    data = flocks(4000)
    model = Denoiser(cfg.width)
    ema = EMA(model, cfg.ema_decay)
    diffusion = Diffusion(cfg)
    opt = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg.iterations)

    running = 0.0
    for it in range(1, cfg.iterations + 1):
        loss = diffusion.loss(model, data[torch.randint(len(data), (cfg.batch,))])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        ema.update(model)
        running += loss.item()
        if it % 500 == 0:
            print(f"iteration {it}: noise loss {running / 500:.4f}, lr {sched.get_last_lr()[0]:.5f}")
            running = 0.0

    samples = diffusion.sample(ema.shadow, 1000)
    print("radius of the samples: mean %.3f, std %.3f" % (samples.norm(dim=1).mean(), samples.norm(dim=1).std()))
    print(f"energy distance {energy_distance(samples, flocks(1000)):.4f}")


if __name__ == "__main__":
    main()
