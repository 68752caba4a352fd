"""One trunk, three answers from reactor probes: temperature, viscosity and phase.

Tasks are weighted by learned homoscedastic uncertainty (Kendall et al. 2018).
Viscosity is measured by hand, for one sample in three only.
"""
import math
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))


def run_plant(n, rng):
    p = rng.uniform(-1, 1, (n, 6))
    temp = np.sin(2 * p[:, 0]) + 0.5 * p[:, 1] * p[:, 2] + 0.05 * rng.normal(size=n)
    visc = np.exp(0.8 * p[:, 3]) - p[:, 0] ** 2 + 0.4 * rng.normal(size=n)
    mix = np.stack([2 * p[:, 4] + p[:, 0], 2 * p[:, 5] - p[:, 1], 0.5 + p[:, 4] * p[:, 5]], 1)
    phase = (2 * mix + rng.gumbel(size=(n, 3))).argmax(1)
    x = np.column_stack([40 + 12 * p[:, 0], 3 + p[:, 1], p[:, 2:5], 900 + 80 * p[:, 5]])
    measured = visc.copy()
    measured[rng.random(n) > 1 / 3] = np.nan
    return x.astype(np.float32), 350 + 25 * temp, measured, phase, visc


class Reactor(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(6, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.temperature = nn.Linear(width, 1)
        self.viscosity = nn.Linear(width, 1)
        self.phase = nn.Linear(width, 3)
        self.log_var = nn.Parameter(torch.zeros(3))

    def forward(self, x):
        h = self.trunk(x)
        return self.temperature(h)[:, 0], self.viscosity(h)[:, 0], self.phase(h)

    def loss(self, x, temp, visc, phase):
        t, v, logits = self(x)
        s = self.log_var
        total = 0.5 * (torch.exp(-s[0]) * F.mse_loss(t, temp) + s[0])
        known = ~torch.isnan(visc)
        if known.any():
            total = total + 0.5 * (torch.exp(-s[1]) * F.mse_loss(v[known], visc[known]) + s[1])
        return total + torch.exp(-s[2]) * F.cross_entropy(logits, phase) + 0.5 * s[2]


def standardize(a, train):
    return (a - np.nanmean(a[train], 0)) / np.nanstd(a[train], 0)


def main():
    torch.manual_seed(SEED)
    x, temp, visc, phase, true_visc = run_plant(8000, np.random.default_rng(SEED))
    train, test = slice(0, 6000), slice(6000, 8000)
    v_mean, v_std = np.nanmean(visc[train]), np.nanstd(visc[train])
    columns = [standardize(x, train), standardize(temp, train), standardize(visc, train)]
    X, T, V = (torch.tensor(c, dtype=torch.float32) for c in columns)
    P = torch.tensor(phase)
    loader = DataLoader(TensorDataset(X[train], T[train], V[train], P[train]), batch_size=64, shuffle=True)

    model = Reactor()
    weights = [p for name, p in model.named_parameters() if name != "log_var"]
    optimizer = torch.optim.AdamW([
        {"params": weights, "lr": 2e-3, "weight_decay": 1e-3},
        {"params": [model.log_var], "lr": 1e-2, "weight_decay": 0.0}])
    epochs = 24
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for batch in loader:
            optimizer.zero_grad()
            loss = model.loss(*batch)
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        if epoch % 3 == 2:
            sigma = [math.exp(s / 2) for s in model.log_var.tolist()]
            print(f"epoch {epoch + 1:2d}  loss {total / len(loader):+.4f}  "
                  f"sigmas {sigma[0]:.3f} {sigma[1]:.3f}  classification {sigma[2]:.3f}")

    model.eval()
    with torch.no_grad():
        t, v, logits = model(X[test])
    r2_t = 1 - F.mse_loss(t, T[test]).item() / T[test].var().item()
    truth = torch.tensor((true_visc[test] - v_mean) / v_std, dtype=torch.float32)
    r2_v = 1 - F.mse_loss(v, truth).item() / truth.var().item()
    acc = (logits.argmax(1) == P[test]).float().mean().item()
    print(f"test: temperature R2 {r2_t:.4f}  viscosity R2 {r2_v:.4f} (noise allows {1 - 0.16 / true_visc.var():.3f})  "
          f"phase accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
