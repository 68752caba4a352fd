"""Sparks over a fire lie on three arcs: a denoising diffusion model with 60 steps learns where."""
import copy
import math
import os

import torch
from torch import nn

T = 60
CONFIG = {"steps": 5000, "batch": 256, "lr": 2e-3, "ema": 0.998, "seed": int(os.environ.get("SEED", "0"))}


def sparks(n):
    arm = torch.randint(3, (n,))
    r = 0.4 + 1.5 * torch.rand(n)
    angle = arm * 2 * math.pi / 3 + 1.1 * r
    xy = torch.stack([r * torch.cos(angle), r * torch.sin(angle)], 1)
    return xy + 0.05 * torch.randn(n, 2)


class NoiseNet(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.register_buffer("freq", 2.0 ** torch.arange(5) * math.pi / 2)
        self.net = nn.Sequential(nn.Linear(2 + 10, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                 nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x, t):
        angle = (t.float() / T)[:, None] * self.freq
        return self.net(torch.cat([x, angle.sin(), angle.cos()], 1))


class Diffusion:
    def __init__(self):
        self.beta = torch.linspace(1e-3, 0.2, T)
        self.alpha = 1 - self.beta
        self.bar = torch.cumprod(self.alpha, 0)

    def loss(self, net, x0):
        t = torch.randint(T, (len(x0),))
        noise = torch.randn_like(x0)
        bar = self.bar[t][:, None]
        noisy = bar.sqrt() * x0 + (1 - bar).sqrt() * noise
        return (net(noisy, t) - noise).pow(2).mean()

    @torch.no_grad()
    def sample(self, net, n):
        x = torch.randn(n, 2)
        for t in reversed(range(T)):
            eps = net(x, torch.full((n,), t))
            x = (x - self.beta[t] / (1 - self.bar[t]).sqrt() * eps) / self.alpha[t].sqrt()
            if t > 0:
                x = x + self.beta[t].sqrt() * torch.randn_like(x)
        return x


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


@torch.no_grad()
def follow(average, net, decay):
    for p_avg, p in zip(average.parameters(), net.parameters()):
        p_avg.lerp_(p, 1 - decay)


def main(cfg):
    torch.manual_seed(cfg["seed"])
    data = sparks(4000)
    scale = data.std()
    data = data / scale
    unseen = sparks(2000) / scale
    diffusion, net = Diffusion(), NoiseNet()
    average = copy.deepcopy(net).requires_grad_(False)
    start = energy_distance(diffusion.sample(average, 2000), unseen)
    opt = torch.optim.Adam(net.parameters(), lr=cfg["lr"])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, cfg["steps"])
    running = None
    for step in range(cfg["steps"]):
        batch = data[torch.randint(len(data), (cfg["batch"],))]
        loss = diffusion.loss(net, batch)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        follow(average, net, min(cfg["ema"], (1 + step) / (10 + step)))
        running = loss.item() if running is None else 0.99 * running + 0.01 * loss.item()
        if step % 1000 == 999:
            print(f"step {step + 1} noise loss {running:.4f}")
    samples = diffusion.sample(average, 2000)
    near = torch.cdist(samples, unseen).min(1).values
    floor = energy_distance(sparks(2000) / scale, unseen)
    print(f"energy distance to unseen sparks: untrained {start:.4f}, trained {energy_distance(samples, unseen):.4f}, "
          f"true sparks {floor:.4f}; share of samples within 0.15 of a spark {(near < 0.15).float().mean().item():.3f}")


if __name__ == "__main__":
    main(CONFIG)
