import math

import torch
from torch import nn


def kepler(n, gen):
    """Eccentricity and mean anomaly to the sine and cosine of the eccentric anomaly."""
    e = 0.8 * torch.rand(n, generator=gen)
    M = 2 * math.pi * torch.rand(n, generator=gen)
    E = M.clone()
    for _ in range(30):
        E = E - (E - e * E.sin() - M) / (1 - e * E.cos())
    x = torch.stack([2.5 * e - 1, M.sin(), M.cos(), (2 * M).sin(), (2 * M).cos()], 1)
    return x, torch.stack([E.sin(), E.cos()], 1)


class Surrogate(nn.Module):
    def __init__(self, width=64, depth=3):
        super().__init__()
        dims = [5] + [width] * depth
        self.hidden = nn.ModuleList(nn.Linear(a, b) for a, b in zip(dims, dims[1:]))
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        for layer in self.hidden:
            x = nn.functional.silu(layer(x))
        return self.out(x)


class Fitter:
    def __init__(self, seed, dtype):
        torch.manual_seed(seed)
        self.gen = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.model = Surrogate().to(dtype)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1.5e-4, weight_decay=0.0)

    def step(self, x, y):
        pred = self.model(x.to(self.dtype))
        loss = (pred.float() - y).square().mean()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return float(loss)

    @torch.inference_mode()
    def rmse(self, x, y):
        return (self.model(x.to(self.dtype)).float() - y).square().mean().sqrt().item()

    def fit(self, steps, batch=128):
        x, y = kepler(4000, self.gen)
        xv, yv = kepler(1000, self.gen)
        for i in range(1, steps + 1):
            rows = torch.randint(0, len(x), (batch,), generator=self.gen)
            last = self.step(x[rows], y[rows])
            if i % 300 == 0:
                print(f"{i} loss {last:.5f} rmse {self.rmse(xv, yv):.5f}")


Fitter(seed=23, dtype=torch.bfloat16).fit(1500)
