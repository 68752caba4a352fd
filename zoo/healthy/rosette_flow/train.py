"""Flow matching with a condition that is dropped now and then, and guided sampling by Heun's method."""
import math

import torch
from torch import nn

CLASSES, NONE = 4, 4


def petals(n):
    label = torch.randint(0, CLASSES, (n,))
    u = torch.rand(n)
    angle = label * math.pi / 2 + 0.55 * torch.sin(2 * math.pi * u)
    radius = 1.2 + 0.8 * torch.cos(2 * math.pi * u)
    xy = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)
    return xy + 0.05 * torch.randn(n, 2), label


class Velocity(nn.Module):
    def __init__(self, hidden=128):
        super().__init__()
        self.label = nn.Embedding(CLASSES + 1, hidden)
        self.register_buffer("freq", math.pi * torch.arange(1, 5).float())
        self.first = nn.Linear(2 + 8, hidden)
        self.rest = nn.Sequential(
            nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2),
        )
        nn.init.zeros_(self.rest[-1].weight)
        nn.init.zeros_(self.rest[-1].bias)

    def forward(self, x, t, label):
        a = t[:, None] * self.freq
        return self.rest(self.first(torch.cat([x, a.sin(), a.cos()], 1)) + self.label(label))


def make_objective(net, p_drop=0.15):
    def objective(x1, label):
        x0 = torch.randn_like(x1)
        t = torch.rand(len(x1))
        label = torch.where(torch.rand(len(x1)) < p_drop, NONE, label)
        xt = (1 - t[:, None]) * x0 + t[:, None] * x1
        return (net(xt, t, label) - (x1 - x0)).pow(2).mean()

    return objective


def make_sampler(net, guidance=1.1, steps=20):
    def field(x, t, label):
        t = torch.full((len(x),), t)
        free = net(x, t, torch.full_like(label, NONE))
        return free + guidance * (net(x, t, label) - free)

    @torch.no_grad()
    def sampler(label):
        x, h = torch.randn(len(label), 2), 1 / steps
        for k in range(steps):
            v = field(x, k * h, label)
            x = x + h * 0.5 * (v + field(x + h * v, (k + 1) * h, label))
        return x

    return sampler


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


def fit(iterations, log):
    net = Velocity()
    objective, sampler = make_objective(net), make_sampler(net)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
    decay = torch.optim.lr_scheduler.CosineAnnealingLR(opt, iterations)
    for i in range(1, iterations + 1):
        loss = objective(*petals(256))
        opt.zero_grad()
        loss.backward()
        opt.step()
        decay.step()
        if i % 220 == 0:
            real, label = petals(1200)
            made = sampler(label)
            own = sum(energy_distance(made[label == k], real[label == k]) for k in range(CLASSES)) / CLASSES
            log(i, loss.item(), energy_distance(made, real), own)


torch.manual_seed(58)
fit(1320, lambda i, loss, d, own: print(f"{i} loss {loss:.3f} energy distance {d:.4f}, within a class {own:.4f}"))
