import math

import numpy as np
import torch
from torch import nn

HISTORY, AHEAD, SEASON = 60, 6, 12


def weekly_sales(n, seed):
    """Log sales of n articles: a slowly wandering level, a common yearly pattern and a lot of noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(HISTORY + AHEAD)
    level = rng.normal(0, 1, (n, 1)) + np.cumsum(rng.normal(0, 0.04, (n, len(t))), 1)
    pattern = 0.5 * np.sin(2 * math.pi * t / SEASON) + 0.25 * np.cos(4 * math.pi * t / SEASON)
    y = level + pattern + rng.normal(0, 0.5, (n, len(t)))
    return torch.tensor(y, dtype=torch.float32)


class DampedHolt(nn.Module):
    """Exponential smoothing with damped trend and shared seasonal offsets, fitted by gradient descent."""

    def __init__(self):
        super().__init__()
        self.smooth = nn.Parameter(torch.zeros(()))
        self.trend = nn.Parameter(torch.zeros(()))
        self.damp = nn.Parameter(torch.tensor(1.0))
        self.season = nn.Parameter(torch.zeros(SEASON))

    def rates(self):
        return [torch.sigmoid(p).item() for p in (self.smooth, self.trend, self.damp)]

    def forward(self, y):
        alpha, beta, phi = self.rates()
        offset = self.season - self.season.mean()
        level, slope = y[:, 0] - offset[0], torch.zeros(len(y))
        one_step = []
        for t in range(1, y.shape[1]):
            prior = level + phi * slope
            one_step.append(prior + offset[t % SEASON])
            new = alpha * (y[:, t] - offset[t % SEASON]) + (1 - alpha) * prior
            slope = beta * (new - level) + (1 - beta) * phi * slope
            level = new
        future = []
        for t in range(y.shape[1], y.shape[1] + AHEAD):
            slope = phi * slope
            level = level + slope
            future.append(level + offset[t % SEASON])
        return torch.stack(one_step, 1), torch.stack(future, 1)


class Planner:
    def __init__(self, model, lr=0.05):
        self.model = model
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)

    def training_step(self, y):
        one_step, future = self.model(y[:, :HISTORY])
        return nn.functional.mse_loss(one_step, y[:, 1:HISTORY]) + nn.functional.mse_loss(future, y[:, HISTORY:])

    def fit(self, y, y_val, epochs=14, batch=64):
        for epoch in range(1, epochs + 1):
            total = 0.0
            for rows in torch.randperm(len(y)).split(batch):
                loss = self.training_step(y[rows])
                self.optimizer.zero_grad()
                loss.backward()
                self.optimizer.step()
                total += loss.item() * len(rows)
            if epoch % 2 == 0:
                print(f"epoch {epoch:2d} loss {total / len(y):.4f} forecast MAE {self.validate(y_val):.4f}")

    @torch.no_grad()
    def validate(self, y):
        _, future = self.model(y[:, :HISTORY])
        return (future - y[:, HISTORY:]).abs().mean().item()


torch.manual_seed(8)
Planner(DampedHolt()).fit(weekly_sales(640, 8), weekly_sales(300, 9))
