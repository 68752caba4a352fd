import argparse

import numpy as np
import torch
from torch import nn


def make_hours(n, rng):
    """Weather and clock of n hours, and the number of bicycles hired at one station."""
    hour = rng.integers(0, 24, n)
    temp = 12 + 9 * rng.standard_normal(n)
    wind = rng.gamma(2.0, 2.0, n)
    rain = (rng.random(n) < 0.2) * rng.exponential(2.0, n)
    weekend = rng.random(n) < 2 / 7
    rush = np.exp(-0.5 * ((hour - 8) / 1.5) ** 2) + 1.2 * np.exp(-0.5 * ((hour - 17.5) / 2) ** 2)
    noon = np.exp(-0.5 * ((hour - 14) / 3) ** 2)
    log_rate = 0.6 + np.where(weekend, 1.5 * noon, 2.0 * rush) - 0.004 * (temp - 22) ** 2 * 0.7
    log_rate = log_rate - 0.06 * wind - 0.25 * rain + 0.4
    counts = rng.poisson(np.exp(log_rate))
    angle = 2 * np.pi * hour / 24
    columns = [np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle), temp, wind, rain, weekend]
    return np.stack(columns, 1).astype(np.float32), counts.astype(np.float32)


def poisson_deviance(rate, y):
    rate = rate.clamp(min=1e-4)
    return 2 * (torch.xlogy(y, y / rate) - (y - rate)).mean()


class RateNet(nn.Module):
    """Expected count; the exponential keeps it positive."""

    def __init__(self, n_in, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.log_rate = nn.Linear(width, 1)

    def forward(self, x):
        return self.log_rate(self.body(x)).exp().squeeze(-1)


def build(args):
    rng = np.random.default_rng(args.seed)
    x, y = make_hours(args.hours, rng)
    cut = int(0.8 * len(x))
    mean, std = x[:cut].mean(0), x[:cut].std(0)
    x, y = torch.from_numpy((x - mean) / std), torch.from_numpy(y)
    net = RateNet(x.shape[1], args.width)
    opt = torch.optim.Adam(net.parameters(), lr=args.lr)
    criterion = nn.PoissonNLLLoss(log_input=False)

    def epoch():
        net.train()
        seen = []
        for rows in torch.randperm(cut).split(args.batch):
            opt.zero_grad()
            loss = criterion(net(x[rows]), y[rows])
            loss.backward()
            opt.step()
            seen.append(loss.item())
        return float(np.mean(seen))

    def test():
        net.eval()
        with torch.no_grad():
            return poisson_deviance(net(x[cut:]), y[cut:]).item()

    return epoch, test


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--hours", type=int, default=4000)
    parser.add_argument("--width", type=int, default=40)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=31)
    args = parser.parse_args()
    torch.manual_seed(args.seed)
    run_epoch, run_test = build(args)
    for i in range(args.epochs):
        nll = run_epoch()
        print(f"{i + 1}/{args.epochs} nll {nll:.4f} test deviance {run_test():.4f}")
