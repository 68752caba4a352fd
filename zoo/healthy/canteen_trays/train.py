"""School canteen: how many trays tomorrow?  Log-linear model against a small network (Poisson loss)."""
import math
import os

import numpy as np
import torch
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))
rng = np.random.default_rng(int(os.environ.get("SEED", "0")) + 100)

N = 3000
pupils = rng.integers(60, 600, N)
weekday = rng.integers(0, 5, N)
temp = rng.normal(12, 8, N)
dish = rng.integers(0, 6, N)
taste = np.array([0.3, -0.2, 0.1, -0.5, 0.0, 0.25])
rate = pupils * 0.35 * np.exp(taste[dish] - 0.35 * ((temp > 20) & (dish < 3)) + 0.15 * (weekday == 4) * (dish == 3)
                              - 0.1 * np.abs(temp - 12) / 8)
trays = rng.poisson(rate)

features = np.column_stack([np.log(pupils), temp, np.eye(5)[weekday], np.eye(6)[dish]])
features[:, 0] -= math.log(300)
features[:, 1] = (features[:, 1] - 12) / 8
X = torch.tensor(features, dtype=torch.float32)
Y = torch.tensor(trays, dtype=torch.float32)
Xtr, Ytr, Xte, Yte = X[:2300], Y[:2300], X[2300:], Y[2300:]
start = math.log(Ytr.mean().item())


class LogLinear(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.w = nn.Parameter(torch.zeros(d))
        self.b = nn.Parameter(torch.tensor(start))

    def forward(self, x):
        return x @ self.w + self.b


class Net(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.skip = nn.Linear(d, 1)
        self.body = nn.Sequential(nn.Linear(d, 48), nn.Tanh(), nn.Linear(48, 1))
        nn.init.constant_(self.skip.bias, start)

    def forward(self, x):
        return (self.skip(x) + self.body(x)).squeeze(-1)


def deviance(log_rate, y):
    ratio = torch.where(y > 0, y * (torch.log(y.clamp(min=1)) - log_rate), torch.zeros_like(y))
    return (2 * (ratio - (y - log_rate.exp()))).mean().item()


def train(model, epochs, lr):
    loss_fn = nn.PoissonNLLLoss(log_input=True)
    opt = torch.optim.Adam(model.parameters(), lr=lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        total = 0.0
        for idx in torch.randperm(len(Xtr)).split(100):
            loss = loss_fn(model(Xtr[idx]), Ytr[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        if epoch % 20 == 0:
            print(f"  epoch {epoch:3d} loss {total / len(Xtr):.3f}")
    with torch.no_grad():
        return deviance(model(Xte), Yte)


null = deviance(torch.full_like(Yte, start), Yte)
results = {}
for name, model in (("log-linear", LogLinear(X.shape[1])), ("net", Net(X.shape[1]))):
    print(name)
    results[name] = train(model, epochs=80, lr=0.01)
print(f"test deviance: constant {null:.2f}  " + "  ".join(f"{k} {v:.3f}" for k, v in results.items()))
print("a perfect model has about 1.0")
