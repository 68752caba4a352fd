"""Forecast 20 water gauges; which gauges feed which is not known and is learned with the forecast."""
from __future__ import annotations

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from scipy.special import softmax
from torch import nn


def simulate(n_gauges: int, n_hours: int, rng: np.random.RandomState) -> np.ndarray:
    inflow = np.zeros((n_gauges, n_gauges))
    for i in range(n_gauges):
        feeder = rng.choice(np.delete(np.arange(n_gauges), i))
        inflow[i, feeder] = rng.uniform(0.8, 0.9)
    level = np.zeros((n_hours, n_gauges))
    for t in range(1, n_hours):
        level[t] = np.tanh(inflow @ level[t - 1]) + 0.05 * level[t - 1] + 0.3 * rng.randn(n_gauges)
    return level.astype(np.float32)


class RelationForecaster(nn.Module):
    def __init__(self, n_gauges: int, lags: int, width: int, rank: int):
        super().__init__()
        self.receiver = nn.Parameter(0.3 * torch.randn(n_gauges, rank))
        self.sender = nn.Parameter(0.3 * torch.randn(n_gauges, rank))
        self.message = nn.Linear(lags, width)
        self.own = nn.Linear(lags, width)
        self.readout = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def relation(self) -> torch.Tensor:
        scores = self.receiver @ self.sender.T
        return torch.from_numpy(softmax(scores.detach().numpy(), axis=1))

    def forward(self, window: torch.Tensor) -> torch.Tensor:
        # window: batch x gauges x lags
        gathered = torch.einsum("ij,bjw->biw", self.relation(), self.message(window))
        return self.readout(F.relu(gathered + self.own(window))).squeeze(-1)


def windows(series: torch.Tensor, lags: int) -> tuple[torch.Tensor, torch.Tensor]:
    return series[:-1].unfold(0, lags, 1), series[lags:]


def main(argv: list[str] | None = None) -> None:
    ap = argparse.ArgumentParser()
    ap.add_argument("--gauges", type=int, default=20)
    ap.add_argument("--lags", type=int, default=3)
    ap.add_argument("--width", type=int, default=24)
    ap.add_argument("--rank", type=int, default=10)
    ap.add_argument("--steps", type=int, default=800)
    ap.add_argument("--lr", type=float, default=1e-2)
    args = ap.parse_args(argv)
    torch.manual_seed(41)
    level = simulate(args.gauges, 2000, np.random.RandomState(41))
    level = torch.from_numpy(level)
    split = 1500
    mu, sd = level[:split].mean(0), level[:split].std(0)
    level = (level - mu) / sd
    x, y = windows(level[:split], args.lags)
    x_late, y_late = windows(level[split:], args.lags)
    net = RelationForecaster(args.gauges, args.lags, args.width, args.rank)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.steps)
    for step in range(1, args.steps + 1):
        rows = torch.randint(len(x), (64,))
        loss = F.mse_loss(net(x[rows]), y[rows])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        sched.step()
        if step % 100 == 0:
            with torch.no_grad():
                late = F.mse_loss(net(x_late), y_late).item()
            print(f"step {step:4d} mse {loss.item():.4f} unseen mse {late:.4f}")


if __name__ == "__main__":
    main([])
