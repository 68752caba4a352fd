"""Glaze outcome (matt, crackle, glossy, run) from the potter's recipe: random search, then one final fit."""
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
TRIALS, SHORT, LONG = 12, 8, 30


def recipes(n, rng):
    oxides = rng.dirichlet([4, 2, 2, 1, 1], n)                  # silica, alumina, lime, soda, zinc
    peak = rng.uniform(1100, 1300, n)
    hold = rng.uniform(0, 60, n)
    flux = oxides[:, 2] + 1.6 * oxides[:, 3] + oxides[:, 4]
    melt = 6 * (flux - 0.4) + (peak - 1200) / 50 + hold / 60 + rng.normal(0, 0.35, n)
    strain = 8 * (oxides[:, 3] - 0.1) - 3 * (oxides[:, 0] - 0.4) + rng.normal(0, 0.25, n)
    outcome = np.where(melt < -0.6, 0, np.where(melt > 2.2, 3, np.where(strain > 0.2, 1, 2)))
    x = np.column_stack([oxides, peak, hold]).astype(np.float32)
    return x, outcome


def make_net(width, depth):
    layers, size = [], 7
    for _ in range(depth):
        layers += [nn.Linear(size, width), nn.ReLU()]
        size = width
    return nn.Sequential(*layers, nn.Linear(size, 4))


def fit(x, y, setting, epochs):
    net = make_net(setting["width"], setting["depth"])
    opt = torch.optim.AdamW(net.parameters(), lr=setting["lr"], weight_decay=setting["decay"])
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for _ in range(epochs):
        net.train()
        for idx in torch.randperm(len(x)).split(64):
            opt.zero_grad()
            F.cross_entropy(net(x[idx]), y[idx]).backward()
            opt.step()
        sched.step()
    return net.eval()


@torch.no_grad()
def score(net, x, y):
    logits = net(x)
    return F.cross_entropy(logits, y).item(), (logits.argmax(1) == y).float().mean().item()


def draw(rnd):
    return {"lr": 10 ** rnd.uniform(-3.5, -1.8), "width": rnd.choice([16, 32, 64]),
            "depth": rnd.choice([1, 2, 3]), "decay": 10 ** rnd.uniform(-5, -2)}


def main():
    torch.manual_seed(SEED)
    rnd = random.Random(SEED)
    x, y = recipes(5000, np.random.default_rng(SEED))
    print("outcomes", np.bincount(y))
    tr, va = slice(0, 3000), slice(3000, 4000)
    mean, std = x[tr].mean(0), x[tr].std(0)
    X, Y = torch.tensor((x - mean) / std), torch.tensor(y)

    results = []
    for trial in range(TRIALS):
        setting = draw(rnd)
        net = fit(X[tr], Y[tr], setting, SHORT)
        loss, acc = score(net, X[va], Y[va])
        results.append((loss, trial, setting))
        shown = {k: (f"{v:.1e}" if isinstance(v, float) else v) for k, v in setting.items()}
        print(f"trial {trial:2d}  loss {loss:.4f}  accuracy {acc:.3f}  {shown}")

    _, trial, best = min(results)
    print("winner: trial", trial)
    final = fit(X[:4000], Y[:4000], best, LONG)
    loss, acc = score(final, X[4000:], Y[4000:])
    majority = np.mean(y[4000:] == np.bincount(y[:4000]).argmax())
    print(f"test loss {loss:.4f}  accuracy {acc:.4f}  (majority {majority:.3f})")


if __name__ == "__main__":
    main()
