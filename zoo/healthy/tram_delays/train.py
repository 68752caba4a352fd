"""Forecast the mean delay of tram line 6 one quarter of an hour ahead.

The network sees the last 48 delays and the time of day, and predicts the
change from the last delay.  Split by time: first 70 % train, then validation,
then test.
"""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
PER_DAY, WINDOW = 72, 48          # the line runs 18 hours a day


def simulate(days, rng):
    t = np.arange(days * PER_DAY)
    hour = 5 + (t % PER_DAY) / 4
    weekend = (t // PER_DAY) % 7 >= 5
    rush = np.exp(-0.5 * ((hour - 8) / 0.8) ** 2) + 0.8 * np.exp(-0.5 * ((hour - 17.5) / 1.2) ** 2)
    level = 1.0 + 4.0 * rush * np.where(weekend, 0.3, 1.0)
    ar, delay = 0.0, np.zeros(len(t))
    for i in range(len(t)):
        # jams build up quickly and dissolve slowly
        ar = (0.9 if ar > 0 else 0.5) * ar + rng.normal(0, 0.35)
        delay[i] = max(level[i] + ar, 0.0)
    clock = np.stack([np.sin(2 * np.pi * (t % PER_DAY) / PER_DAY),
                      np.cos(2 * np.pi * (t % PER_DAY) / PER_DAY), weekend], 1)
    return delay.astype(np.float32), clock.astype(np.float32)


def windows(delay, clock, start, stop):
    xs, ys, last = [], [], []
    for i in range(start + WINDOW, stop):
        # the clock of the quarter to be predicted is known in advance
        xs.append(np.column_stack([delay[i - WINDOW:i], clock[i - WINDOW + 1:i + 1]]))
        ys.append(delay[i] - delay[i - 1])
        last.append(delay[i - 1])
    return (torch.tensor(np.stack(xs)), torch.tensor(np.array(ys)), torch.tensor(np.array(last)))


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(4, hidden, batch_first=True)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.out(states[:, -1]).squeeze(-1)


def run_epoch(model, loader, optimizer=None):
    training = optimizer is not None
    model.train(training)
    total, count = 0.0, 0
    with torch.set_grad_enabled(training):
        for x, y, _ in loader:
            loss = nn.functional.mse_loss(model(x), y)
            if training:
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
            total += loss.item() * len(y)
            count += len(y)
    return total / count


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    delay, clock = simulate(90, rng)
    n = len(delay)
    cut1, cut2 = int(0.7 * n), int(0.85 * n)
    mean, std = delay[:cut1].mean(), delay[:cut1].std()
    scaled = (delay - mean) / std
    parts = [windows(scaled, clock, a, b) for a, b in ((0, cut1), (cut1, cut2), (cut2, n))]
    train = DataLoader(TensorDataset(*parts[0]), batch_size=64, shuffle=True)
    valid = DataLoader(TensorDataset(*parts[1]), batch_size=512)
    test = DataLoader(TensorDataset(*parts[2]), batch_size=512)

    model = Forecaster()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    epochs = 10
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=epochs)
    for epoch in range(epochs):
        a = run_epoch(model, train, optimizer)
        b = run_epoch(model, valid)
        scheduler.step()
        print(f"epoch {epoch + 1:2d}  train mse {a:.4f}  valid mse {b:.4f}")

    _, change, _ = parts[2]
    rmse = run_epoch(model, test) ** 0.5 * std
    naive = change.square().mean().sqrt().item() * std
    first = cut2 + WINDOW
    yesterday = np.sqrt(np.mean((delay[first:] - delay[first - PER_DAY:n - PER_DAY]) ** 2))
    print(f"test RMSE in minutes: last value {naive:.3f}, yesterday {yesterday:.3f}, "
          f"network {rmse:.3f} (noise 0.35)")


if __name__ == "__main__":
    main()
