"""Two stations hear the same fog horn through different noise: learn projections that agree as well as they can (deep CCA)."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

K = 2


def station_pair(n):
    source = torch.rand(n, K) * 2 - 1
    mix_a, mix_b = STATIONS
    a = torch.tanh(source @ mix_a) + 0.1 * torch.randn(n, 12)
    b = (source @ mix_b).sin() + 0.1 * torch.randn(n, 10)
    return a, b, source


def tower(d):
    return nn.Sequential(nn.Linear(d, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, K))


def inverse_root(m):
    w, v = torch.linalg.eigh(m)
    return v @ torch.diag(w.clamp(min=1e-6).rsqrt()) @ v.t()


def total_correlation(a, b, ridge=1e-3):
    a, b = a - a.mean(0), b - b.mean(0)
    n = len(a) - 1
    eye = ridge * torch.eye(K)
    saa, sbb, sab = a.t() @ a / n + eye, b.t() @ b / n + eye, a.t() @ b / n
    m = inverse_root(saa) @ sab @ inverse_root(sbb)
    return torch.linalg.matrix_norm(m, ord="nuc")


STATIONS = (torch.randn(K, 12) * 1.2, torch.randn(K, 10) * 1.5)
train_a, train_b, _ = station_pair(4000)
test_a, test_b, test_source = station_pair(1000)
net_a, net_b = tower(12), tower(10)
# the objective is a correlation (at most K): it is climbed, not descended
opt = torch.optim.Adam([*net_a.parameters(), *net_b.parameters()], lr=1e-3, maximize=True)
for step in range(1000):
    idx = torch.randint(0, 4000, (400,))
    objective = total_correlation(net_a(train_a[idx]), net_b(train_b[idx]))
    opt.zero_grad()
    objective.backward()
    opt.step()
    if step % 100 == 99:
        with torch.no_grad():
            held = total_correlation(net_a(test_a), net_b(test_b))
        print(f"step {step + 1} correlation {objective.item():.4f} held out {held.item():.4f}")

with torch.no_grad():
    print(f"held out correlation (of {K}) {total_correlation(net_a(test_a), net_b(test_b)).item():.4f}")
