"""Sag of a suspended footbridge: the equation k u'' = -q(x), u(0) = u(1) = 0, with the stiffness k unknown."""
import math
import os

import torch
from torch import nn

torch.set_default_dtype(torch.float64)
SEED = int(os.environ.get("SEED", "0"))
TRUE_K = 2.5
STEPS = 4000


def load(x):
    return 10 * torch.sin(math.pi * x) + 6 * torch.sin(3 * math.pi * x)


def truth(x):
    return (10 * torch.sin(math.pi * x) / math.pi ** 2 + 6 * torch.sin(3 * math.pi * x) / (3 * math.pi) ** 2) / TRUE_K


class Cable(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(),
                                 nn.Linear(width, 1))
        self.log_k = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return x * (1 - x) * self.net(2 * x - 1)          # both ends are held

    def residual(self, x):
        x = x.requires_grad_(True)
        u = self(x)
        du, = torch.autograd.grad(u.sum(), x, create_graph=True)
        ddu, = torch.autograd.grad(du.sum(), x, create_graph=True)
        return self.log_k.exp() * ddu + load(x)


def main():
    torch.manual_seed(SEED)
    gauges = torch.linspace(0.05, 0.95, 12).unsqueeze(1)
    sag = truth(gauges) + 0.002 * torch.randn_like(gauges)
    model = Cable()
    opt = torch.optim.Adam([{"params": model.net.parameters(), "lr": 3e-3},
                            {"params": [model.log_k], "lr": 1e-2}])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
    for step in range(STEPS):
        points = torch.rand(48, 1)
        physics = model.residual(points).pow(2).mean()
        data = (model(gauges) - sag).pow(2).mean()
        loss = physics + 300 * data
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if step % 500 == 0 or step == STEPS - 1:
            print(f"step {step:4d} physics {physics.item():.3e} data {data.item():.3e} "
                  f"stiffness {model.log_k.exp().item():.3f}")
    grid = torch.linspace(0, 1, 201).unsqueeze(1)
    with torch.no_grad():
        error = (model(grid) - truth(grid)).norm() / truth(grid).norm()
    print(f"relative error of the sag {error.item():.4f}; stiffness {model.log_k.exp().item():.3f} (true {TRUE_K})")


if __name__ == "__main__":
    main()
