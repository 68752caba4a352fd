"""Recover the stiffness and damping of a cord from a noisy recording of one bounce.

The network x(t) must pass near the readings and obey  x'' + 2 z w x' + w^2 x = 0  with unknown w and z.
"""
import math

import torch
from torch import nn

TRUE_W, TRUE_Z, SPAN, NOISE = 2.4, 0.08, 8.0, 0.05


def true_motion(t):
    wd = TRUE_W * math.sqrt(1 - TRUE_Z ** 2)
    return torch.exp(-TRUE_Z * TRUE_W * t) * (torch.cos(wd * t) + 0.3 * torch.sin(wd * t))


class Motion(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        self.log_w = nn.Parameter(torch.tensor(math.log(1.8)))
        self.log_z = nn.Parameter(torch.tensor(math.log(0.2)))

    def forward(self, t):
        return self.net(2 * t / SPAN - 1)

    def imbalance(self, t):
        t = t.clone().requires_grad_(True)
        x = self(t)
        v, = torch.autograd.grad(x.sum(), t, create_graph=True)
        a, = torch.autograd.grad(v.sum(), t, create_graph=True)
        w, z = self.log_w.exp(), self.log_z.exp()
        return (a + 2 * z * w * v + w ** 2 * x) / w ** 2


def main():
    torch.manual_seed(2)
    torch.set_default_dtype(torch.float64)
    times = (torch.rand(80, 1) * SPAN).sort(0).values
    readings = true_motion(times) + NOISE * torch.randn(80, 1)
    inside = torch.linspace(0, SPAN, 160).unsqueeze(1)
    model = Motion()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1.0, max_iter=20, history_size=50,
                                  line_search_fn="strong_wolfe", tolerance_change=1e-12)
    parts = {}

    def closure():
        optimizer.zero_grad()
        parts["data"] = (model(times) - readings).pow(2).mean()
        parts["law"] = model.imbalance(inside).pow(2).mean()
        loss = parts["data"] + law_weight * parts["law"]
        loss.backward()
        return loss

    rounds = 60
    for k in range(rounds):
        law_weight = 0.1 if k < rounds // 3 else 1.0
        loss = optimizer.step(closure)
        if k % 6 == 5:
            print(f"round {k + 1:2d}  loss {loss.item():.6f}  data {parts['data'].item():.6f}  law {parts['law'].item():.2e}  "
                  f"w {model.log_w.exp().item():.4f}  z {model.log_z.exp().item():.4f}")

    grid = torch.linspace(0, SPAN, 400).unsqueeze(1)
    with torch.no_grad():
        rmse = (model(grid) - true_motion(grid)).pow(2).mean().sqrt().item()
        swing = true_motion(grid).std().item()
    print(f"w {model.log_w.exp().item():.3f} (true {TRUE_W}), z {model.log_z.exp().item():.4f} (true {TRUE_Z})")
    print(f"RMSE against the noiseless motion: {rmse:.4f} (the motion has spread {swing:.3f}, a reading noise {NOISE})")


if __name__ == "__main__":
    main()
