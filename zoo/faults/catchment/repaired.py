from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F


@dataclass
class Config:
    seed: int = 17
    rows: int = 1200
    features: int = 14
    hidden: int = 48
    epochs: int = 25
    batch: int = 60
    lr: float = 2e-3
    weights: dict[str, float] = field(default_factory=lambda: {"flow": 1.0, "oxygen": 1.0, "turbidity": 0.7, "nitrate": 0.7})


class River:
    """Four quantities at the gauge, all driven by the same three hidden states of the catchment."""

    def __init__(self, cfg: Config):
        r = np.random.RandomState(cfg.seed)
        state = r.randn(cfg.rows, 3)
        wet, warm, farmed = state.T
        x = np.tanh(state @ r.randn(3, cfg.features)) + 0.15 * r.randn(cfg.rows, cfg.features)
        y = {
            "flow": np.exp(0.7 * wet),
            "oxygen": -warm - 0.4 * warm * wet,
            "turbidity": np.abs(wet) + 0.5 * farmed,
            "nitrate": farmed * (1 + 0.5 * wet),
        }
        cut = int(0.75 * cfg.rows)
        self.names = list(y)
        x = (x - x[:cut].mean(0)) / x[:cut].std(0)
        self.x = torch.tensor(x, dtype=torch.float32)
        self.y = {}
        for k, v in y.items():
            v = v + 0.1 * v.std() * r.randn(cfg.rows)
            self.y[k] = torch.tensor((v - v[:cut].mean()) / v[:cut].std(), dtype=torch.float32)
        self.train, self.test = torch.arange(cut), torch.arange(cut, cfg.rows)


class Net(nn.Module):
    def __init__(self, n_in: int, hidden: int, names: list[str]):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_in, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.heads = nn.ModuleDict({k: nn.Sequential(nn.Linear(hidden, 16), nn.SiLU(), nn.Linear(16, 1)) for k in names})

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        h = self.trunk(x)
        return {k: head(h).squeeze(-1) for k, head in self.heads.items()}


class Trainer:
    def __init__(self, cfg: Config):
        torch.manual_seed(cfg.seed)
        self.cfg, self.data = cfg, River(cfg)
        self.net = Net(cfg.features, cfg.hidden, self.data.names)
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=cfg.lr, weight_decay=1e-3)

    def step(self, rows: torch.Tensor) -> float:
        predicted = self.net(self.data.x[rows])
        loss = torch.zeros(())
        for name, weight in self.cfg.weights.items():
            loss = loss + weight * F.smooth_l1_loss(predicted[name], self.data.y[name][rows])
        self.opt.zero_grad()
        loss.backward()
        self.opt.step()
        return loss.item()

    @torch.no_grad()
    def r2(self) -> dict[str, float]:
        predicted = self.net(self.data.x[self.data.test])
        out = {}
        for name in self.data.names:
            y = self.data.y[name][self.data.test]
            out[name] = 1 - (F.mse_loss(predicted[name], y) / y.var()).item()
        return out

    def fit(self) -> None:
        for epoch in range(self.cfg.epochs):
            order = self.data.train[torch.randperm(len(self.data.train))]
            losses = [self.step(rows) for rows in order.split(self.cfg.batch)]
            if epoch % 6 == 0:
                print(f"epoch {epoch:2d} loss {np.mean(losses):.4f}")
        scores = self.r2()
        print("  ".join(f"{k} {v:.3f}" for k, v in scores.items()))
        print(f"mean R2 {np.mean(list(scores.values())):.4f}")


if __name__ == "__main__":
    Trainer(Config()).fit()
