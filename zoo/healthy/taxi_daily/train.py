"""Taxi fares in a city whose prices move: every evening the model learns, every day it is asked before it knows."""
import collections

import numpy as np
import torch
import torch.nn as nn


class City:
    """The rides of one day after the other. Prices and traffic change slowly."""

    def __init__(self):
        self.per_km, self.jam = 2.0, np.random.rand(24)

    def day(self, n=150):
        self.per_km += 0.02 * np.random.randn()
        self.jam = np.clip(self.jam + 0.03 * np.random.randn(24), 0, 1.5)
        km = np.random.gamma(3.0, 2.0, n)
        hour = np.random.randint(0, 24, n)
        airport = np.random.rand(n) < 0.1
        fare = 4 + self.per_km * km * (1 + 0.5 * self.jam[hour]) + 6 * airport + 0.7 * np.random.randn(n)
        angle = hour * 2 * np.pi / 24
        x = np.stack([km, np.sin(angle), np.cos(angle), np.sin(2 * angle), np.cos(2 * angle), airport], 1)
        return torch.tensor(x, dtype=torch.float32), torch.tensor(fare, dtype=torch.float32)


class Scale:
    """Mean and deviation of all that was seen until now."""

    def __init__(self, width):
        self.count, self.total, self.squares = 0, torch.zeros(width), torch.zeros(width)

    def see(self, v):
        self.count += len(v)
        self.total += v.sum(0)
        self.squares += v.square().sum(0)

    def __call__(self, v):
        mean = self.total / self.count
        return (v - mean) / (self.squares / self.count - mean.square()).clamp_min(1e-6).sqrt()


class FareDesk:
    def __init__(self, keep_days=4):
        self.net = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
        self.opt = torch.optim.Adam(self.net.parameters(), lr=3e-3)
        self.scale = Scale(6)
        self.recent = collections.deque(maxlen=keep_days)

    @torch.no_grad()
    def quote(self, x):
        self.net.eval()
        return 10 * self.net(self.scale(x)).squeeze(1) + 18

    def evening(self, x, fare, updates=16):
        self.scale.see(x)
        self.recent.append((x, fare))
        xs, fares = (torch.cat(parts) for parts in zip(*self.recent))
        self.net.train()
        for _ in range(updates):
            rows = torch.randint(len(xs), (64,))
            guess = self.net(self.scale(xs[rows])).squeeze(1)
            loss = nn.functional.smooth_l1_loss(guess, (fares[rows] - 18) / 10)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()


np.random.seed(88)
torch.manual_seed(88)
city, desk = City(), FareDesk()
desk.evening(*city.day())
errors, plain = [], []
for today in range(1, 121):
    x, fare = city.day()
    errors.append((desk.quote(x) - fare).abs().mean().item())
    plain.append((fare - fare.median()).abs().mean().item())
    desk.evening(x, fare)
    if today % 20 == 0:
        print(f"day {today}: quotes of the last 20 days wrong by {np.mean(errors[-20:]):.3f} (one price for all: {np.mean(plain[-20:]):.2f})")
