"""Price of a crate of radishes from market data.  A little grid search, then a refit."""
import itertools
import os

import numpy as np
import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
GRID = {"lr": [1e-4, 1e-3, 1e-2], "weight_decay": [0.0, 1e-2, 1e-1]}


def market(n, rng):
    rain = rng.gamma(2, 10, n)
    temp = rng.normal(14, 6, n)
    weekday = rng.integers(0, 7, n)
    stalls = rng.integers(3, 30, n)
    fuel = rng.normal(1.6, 0.2, n)
    other = rng.standard_normal((n, 6))
    price = (8 + 0.05 * rain - 0.0009 * rain ** 2 / 2 + 2.0 * np.sin(2 * np.pi * weekday / 7)
             - 0.12 * stalls + 2.5 * (fuel - 1.6) * (temp < 10) + 0.02 * (temp - 14) ** 2
             + rng.normal(0, 0.8, n))
    x = np.column_stack([rain, temp, np.sin(2 * np.pi * weekday / 7), np.cos(2 * np.pi * weekday / 7),
                         stalls, fuel, other])
    return torch.tensor(x, dtype=torch.float32), torch.tensor(price, dtype=torch.float32)


def build(inputs):
    torch.manual_seed(SEED)         # every setting starts from the same weights
    return nn.Sequential(nn.Linear(inputs, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))


def fit(x, y, lr, weight_decay, epochs=25, batch=50):
    mx, sx, my, sy = x.mean(0), x.std(0), y.mean(), y.std()
    model = build(x.shape[1])
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    xs, ys = (x - mx) / sx, (y - my) / sy
    for _ in range(epochs):
        for idx in torch.randperm(len(xs)).split(batch):
            opt.zero_grad()
            loss = ((model(xs[idx]).squeeze(1) - ys[idx]) ** 2).mean()
            loss.backward()
            opt.step()

    @torch.no_grad()
    def predict(z):
        return model((z - mx) / sx).squeeze(1) * sy + my

    return predict


def rmse(predict, x, y):
    return (predict(x) - y).pow(2).mean().sqrt().item()


def main():
    rng = np.random.default_rng(SEED)
    x, y = market(2400, rng)
    xtr, ytr, xva, yva, xte, yte = x[:1400], y[:1400], x[1400:1900], y[1400:1900], x[1900:], y[1900:]
    results = {}
    for lr, wd in itertools.product(GRID["lr"], GRID["weight_decay"]):
        predict = fit(xtr, ytr, lr, wd)
        results[lr, wd] = rmse(predict, xva, yva)
        print(f"lr {lr:g} weight_decay {wd:g}: validation RMSE {results[lr, wd]:.3f}")
    best = min(results, key=results.get)
    predict = fit(torch.cat([xtr, xva]), torch.cat([ytr, yva]), *best)
    print("chosen", best)
    print(f"test RMSE {rmse(predict, xte, yte):.3f}  (noise 0.8; spread of prices {yte.std().item():.3f})")


main()
