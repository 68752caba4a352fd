#!/usr/bin/env python
"""Forecast the next six readings of a river gauge from the last forty-eight."""
import argparse
import math

import numpy as np
import torch
import torch.nn as nn


def parse():
    p = argparse.ArgumentParser()
    p.add_argument("--window", type=int, default=48)
    p.add_argument("--horizon", type=int, default=6)
    p.add_argument("--channels", type=int, default=24)
    p.add_argument("--optimizer", choices=["Adam", "SGD"], default="SGD")
    p.add_argument("--lr", type=float, default=1e-4)
    p.add_argument("--momentum", type=float, default=0.9)
    p.add_argument("--batch", type=int, default=48)
    p.add_argument("--steps", type=int, default=500)
    p.add_argument("--seed", type=int, default=5)
    return p.parse_args()


def gauge(n, rng):
    """Rain at random hours, two reservoirs that drain at different speeds, and a tide."""
    rain = rng.gamma(0.6, 1.5, n) * (rng.random(n) < 0.08)
    fast = slow = 0.0
    level = np.empty(n)
    for t in range(n):
        fast = 0.85 * fast + rain[t]
        slow = 0.98 * slow + 0.1 * fast
        level[t] = fast + slow + 0.8 * math.sin(2 * math.pi * t / 12.4)
    return level + 0.05 * rng.standard_normal(n)


class Block(nn.Module):
    def __init__(self, c, dilation):
        super().__init__()
        self.pad = nn.ConstantPad1d((2 * dilation, 0), 0.0)
        self.conv = nn.Conv1d(c, c, 3, dilation=dilation)

    def forward(self, x):
        return x + torch.relu(self.conv(self.pad(x)))


def build(args):
    return nn.Sequential(
        nn.Unflatten(1, (1, args.window)),
        nn.Conv1d(1, args.channels, 1),
        *[Block(args.channels, d) for d in (1, 2, 4, 8)],
        nn.Flatten(),
        nn.Linear(args.channels * args.window, args.horizon),
    )


def make_optimizer(args, model):
    if args.optimizer == "SGD":
        return torch.optim.SGD(model.parameters(), lr=args.lr, momentum=args.momentum, nesterov=True)
    return torch.optim.Adam(model.parameters(), lr=args.lr)


def main():
    args = parse()
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    series = torch.from_numpy(gauge(4000, rng)).float()
    split = 3000
    mean, std = series[:split].mean(), series[:split].std()
    series = (series - mean) / std
    span = args.window + args.horizon
    train = series[:split].unfold(0, span, 1)
    test = series[split:].unfold(0, span, 1)

    model = build(args)
    optimizer = make_optimizer(args, model)
    criterion = nn.SmoothL1Loss()
    for step in range(1, args.steps + 1):
        rows = train[torch.randint(len(train), (args.batch,))]
        past, future = rows[:, : args.window], rows[:, args.window :]
        loss = criterion(model(past), future)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 100 == 0:
            model.eval()
            with torch.no_grad():
                error = (model(test[:, : args.window]) - test[:, args.window :]).abs().mean()
            model.train()
            print(f"{step:4d}  train {loss.item():.4f}  test mae {error.item():.4f}")


if __name__ == "__main__":
    main()
