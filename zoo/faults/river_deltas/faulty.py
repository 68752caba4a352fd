"""Normalizing flow for where sediment settles in a river delta."""
from __future__ import annotations

import math
import os
import random

import numpy as np
import torch
from torch import Tensor, nn

SEED = int(os.environ.get("SEED", "0"))


def sediment(n: int, rng: np.random.Generator) -> Tensor:
    """Three arms that leave the mouth and bend away."""
    arm = rng.integers(0, 3, n)
    s = rng.beta(1.3, 1.0, n) * 3.0
    bend = np.array([-0.55, 0.05, 0.6])[arm]
    x = s - 1.6
    y = bend * s ** 1.4 + 0.15 * np.sin(4 * s + arm)
    xy = np.stack([x, y], axis=1) + 0.06 * rng.standard_normal((n, 2))
    return torch.tensor(xy, dtype=torch.float32)


class Coupling(nn.Module):
    def __init__(self, flip: bool, hidden: int = 48):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(
            nn.Linear(1, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, 2)
        )
        # every coupling starts as the identity
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = x[:, :1], x[:, 1:]
        return (b, a) if self.flip else (a, b)

    def join(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.cat([b, a] if self.flip else [a, b], dim=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        a, b = self.split(x)
        log_s, shift = self.net(a).chunk(2, dim=1)
        log_s = 2.0 * torch.tanh(log_s)
        return self.join(a, b * log_s.exp() + shift), log_s.sum(1)

    def inverse(self, z: Tensor) -> Tensor:
        a, b = self.split(z)
        log_s, shift = self.net(a).chunk(2, dim=1)
        log_s = 2.0 * torch.tanh(log_s)
        return self.join(a, (b - shift) * (-log_s).exp())


class Flow(nn.Module):
    def __init__(self, depth: int = 6):
        super().__init__()
        self.loc = nn.Parameter(torch.zeros(2))
        self.log_scale = nn.Parameter(torch.zeros(2))
        self.couplings = [Coupling(flip=bool(i % 2)) for i in range(depth)]

    def log_prob(self, x: Tensor) -> Tensor:
        logdet = torch.zeros(len(x))
        for coupling in self.couplings:
            x, ld = coupling(x)
            logdet = logdet + ld
        z = (x - self.loc) * (-self.log_scale).exp()
        base = -0.5 * z.square().sum(1) - math.log(2 * math.pi) - self.log_scale.sum()
        return base + logdet

    @torch.no_grad()
    def sample(self, n: int) -> Tensor:
        z = self.loc + self.log_scale.exp() * torch.randn(n, 2)
        for coupling in reversed(self.couplings):
            z = coupling.inverse(z)
        return z


def nll(flow: Flow, x: Tensor) -> float:
    with torch.no_grad():
        return -flow.log_prob(x).mean().item()


def main(steps: int = 600, batch: int = 200, lr: float = 4e-3) -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train, valid, test = sediment(8000, rng), sediment(1000, rng), sediment(2000, rng)
    flow = Flow()
    opt = torch.optim.AdamW(flow.parameters(), lr=lr, weight_decay=1e-5)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=lr, total_steps=steps, pct_start=0.1)
    best, best_state = float("inf"), None
    for step in range(1, steps + 1):
        x = train[torch.randint(len(train), (batch,))]
        loss = -flow.log_prob(x).mean()
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        opt.step()
        sched.step()
        if step % 100 == 0:
            v = nll(flow, valid)
            print(f"step {step:4d}  train {loss.item():.4f}  valid {v:.4f}")
            if v < best:
                best, best_state = v, {k: t.clone() for k, t in flow.state_dict().items()}
    flow.load_state_dict(best_state)
    s = flow.sample(1000)
    print(f"samples lie in x {s[:, 0].min():.2f}..{s[:, 0].max():.2f}, y {s[:, 1].min():.2f}..{s[:, 1].max():.2f}")
    print(f"test nll {nll(flow, test):.4f}")


if __name__ == "__main__":
    main()
