"""Next day's tonnage over the quays from the last four weeks."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

WEEKS = 4


def tonnage(days: int, rng: np.random.Generator) -> np.ndarray:
    t = np.arange(days)
    weekly = np.array([1.05, 1.1, 1.12, 1.08, 1.0, 0.8, 0.7])[t % 7]
    season = 1 + 0.2 * np.sin(2 * np.pi * t / 365)
    swell = np.zeros(days)
    for i in range(2, days):
        swell[i] = 1.5 * swell[i - 1] - 0.7 * swell[i - 2] + 0.03 * rng.normal()
    return 42_000 * (weekly * season + swell + 0.01 * rng.normal(size=days))


def samples(series: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = np.lib.stride_tricks.sliding_window_view(series, 7 * WEEKS)[:-1]
    return x.astype(np.float32), series[7 * WEEKS :].astype(np.float32)


class Scaler:
    def fit(self, a: np.ndarray) -> Scaler:
        self.mean, self.std = a.mean(), a.std()
        return self

    def transform(self, a: np.ndarray) -> np.ndarray:
        return (a - self.mean) / self.std

    def inverse(self, a: np.ndarray) -> np.ndarray:
        return a * self.std + self.mean


class Forecaster(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.filters = nn.Conv1d(1, 16, 7, padding=3)
        self.mlp = nn.Sequential(nn.Linear(16 * 7 * WEEKS, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.filters(x.unsqueeze(1)))
        return self.mlp(h.flatten(1)).squeeze(1)


def fit(model: nn.Module, x: np.ndarray, y: np.ndarray, epochs: int, report: Callable[[int, float], None]) -> None:
    xs, ys = torch.from_numpy(x), torch.from_numpy(y)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    criterion = nn.MSELoss()
    for epoch in range(1, epochs + 1):
        total = 0.0
        for rows in torch.randperm(len(xs)).split(32):
            loss = criterion(model(xs[rows]), ys[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        report(epoch, total / len(xs))


def main() -> None:
    torch.manual_seed(6)
    series = tonnage(365 * 4, np.random.default_rng(6))
    past, coming = series[: 365 * 3], series[365 * 3 :]
    scaler = Scaler().fit(past)
    x, _ = samples(scaler.transform(past))
    _, y = samples(past)
    x_test, _ = samples(scaler.transform(coming))
    _, y_test = samples(coming)
    model = Forecaster()

    def report(epoch: int, loss: float) -> None:
        if epoch % 5:
            return
        with torch.no_grad():
            forecast = model(torch.from_numpy(x_test)).numpy()
        mape = 100 * np.abs(forecast / y_test - 1).mean()
        print(f"epoch {epoch} loss {loss:.4g} mape {mape:.2f} %")

    fit(model, x, y, 25, report)


main()
