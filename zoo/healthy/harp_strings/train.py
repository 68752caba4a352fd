"""Tension of harp strings: a net trained in steps of accumulated micro-batches, with SAM's two passes."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))


def make_strings(n, rng):
    length = rng.uniform(0.2, 1.4, n)
    gauge = rng.uniform(0.4, 1.8, n)
    pitch = rng.uniform(60, 900, n)
    wound = rng.random(n) < 0.4
    age = rng.exponential(2, n)
    tension = np.log(4 * length ** 2 * pitch ** 2 * gauge ** 2 * (1 + 0.6 * wound)) - 0.05 * age + 0.03 * rng.standard_normal(n)
    x = np.column_stack([length, gauge, pitch / 500, wound, age]).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(tension.astype(np.float32))


class Sharpness:
    """Step uphill by rho, take the gradient there, come back and let the inner optimizer step."""

    def __init__(self, params, inner, rho=0.03):
        self.params, self.inner, self.rho = list(params), inner, rho

    @torch.no_grad()
    def climb(self):
        norm = torch.sqrt(sum((p.grad ** 2).sum() for p in self.params)) + 1e-12
        self.moves = [p.grad * (self.rho / norm) for p in self.params]
        for p, m in zip(self.params, self.moves):
            p.add_(m)
            p.grad = None

    @torch.no_grad()
    def descend(self):
        for p, m in zip(self.params, self.moves):
            p.sub_(m)
        self.inner.step()
        self.inner.zero_grad()


def accumulate(model, x, y, pieces=4):
    total = 0.0
    for xs, ys in zip(x.chunk(pieces), y.chunk(pieces)):
        loss = F.mse_loss(model(xs).squeeze(-1), ys) * len(xs) / len(x)
        loss.backward()
        total += loss.item()
    return total


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    x, y = make_strings(1600, rng)
    xt, yt = make_strings(500, rng)
    mx, sx, my, sy = x.mean(0), x.std(0), y.mean(), y.std()
    x, xt, y, yt = (x - mx) / sx, (xt - mx) / sx, (y - my) / sy, (yt - my) / sy
    model = nn.Sequential(nn.Linear(5, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh(), nn.Linear(48, 1))
    inner = torch.optim.AdamW(model.parameters(), lr=3e-3)
    sam = Sharpness(model.parameters(), inner)
    for epoch in range(40):
        seen = 0.0
        order = torch.randperm(len(x)).split(64)
        for rows in order:
            seen += accumulate(model, x[rows], y[rows])
            sam.climb()
            accumulate(model, x[rows], y[rows])
            sam.descend()
        if epoch % 8 == 7:
            with torch.no_grad():
                err = F.mse_loss(model(xt).squeeze(-1), yt).item()
            print(f"epoch {epoch + 1}: train {seen / len(order):.4f} test {err:.4f}")
    with torch.no_grad():
        err = F.mse_loss(model(xt).squeeze(-1), yt).item()
    print(f"test R2 {1 - err / yt.var().item():.4f}")


main()
