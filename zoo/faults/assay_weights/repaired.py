"""Calibration curve from assays of very different precision."""
import numpy as np
import torch
from torch import nn


def draw_assays(n, rng):
    conc = rng.uniform(-1, 1, size=(n, 4))
    signal = np.sin(3 * conc[:, 0]) + conc[:, 1] * conc[:, 2] + 0.5 * np.cos(2 * conc[:, 3])
    coarse = rng.random(n) < 0.7
    sigma = np.where(coarse, 2.5, 0.08)
    reading = signal + sigma * rng.standard_normal(n)
    return conc, reading, sigma, signal


def to_tensor(a):
    return torch.as_tensor(a, dtype=torch.float32)


rng = np.random.default_rng(404)
torch.manual_seed(404)

conc, reading, sigma, _ = draw_assays(1500, rng)
conc_test, _, _, signal_test = draw_assays(1000, rng)

x, y = to_tensor(conc), to_tensor(reading).unsqueeze(1)
weight = to_tensor(1 / (sigma**2 + 0.05)).unsqueeze(1)
weight = weight / weight.mean()

net = nn.Sequential(nn.Linear(4, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, T_max=40)

for epoch in range(40):
    order = torch.randperm(len(x))
    running = 0.0
    for start in range(0, len(x), 50):
        rows = order[start : start + 50]
        residual = net(x[rows]) - y[rows]
        loss = (weight[rows] * residual.square()).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        running += loss.item() * len(rows)
    sched.step()
    if (epoch + 1) % 10 == 0:
        with torch.no_grad():
            err = (net(to_tensor(conc_test)).squeeze(1) - to_tensor(signal_test)).square().mean().sqrt()
        print(f"epoch {epoch + 1}: weighted mse {running / len(x):.4f}, rmse to the true curve {err:.4f}")
