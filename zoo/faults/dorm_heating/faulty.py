"""Forecast of the heat that the dormitory needs in the next hour (bachelor thesis, chapter 5)."""
import os
import random
import copy
import math

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import Dataset, DataLoader
from torch.optim.lr_scheduler import StepLR

WINDOW = 24


def make_series(hours, rng):
    t = np.arange(hours)
    outside = 5 + 8 * np.sin(2 * np.pi * t / (24 * 40)) + 4 * np.sin(2 * np.pi * t / 24 - 2)
    noise = np.zeros(hours)
    for i in range(1, hours):
        noise[i] = 0.85 * noise[i - 1] + rng.normal(0, 0.6)
    showers = 6 * np.exp(-((t % 24 - 7) ** 2) / 2) + 4 * np.exp(-((t % 24 - 20) ** 2) / 4)
    weekend = ((t // 24) % 7 >= 5)
    heat = 40 - 1.2 * (outside + noise) + showers * np.where(weekend, 0.5, 1.0) + rng.normal(0, 0.4, hours)
    return np.stack([heat, outside + noise], axis=1).astype(np.float32)


class HeatDataset(Dataset):
    def __init__(self, series, mean, std):
        self.series = torch.tensor((series - mean) / std, dtype=torch.float32)

    def __len__(self):
        return len(self.series) - WINDOW

    def __getitem__(self, i):
        return self.series[i:i + WINDOW], self.series[i + WINDOW, :1]


class HeatGRU(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.gru = nn.GRU(2, hidden, batch_first=True)
        self.out = nn.Sequential(nn.Linear(hidden, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, x):
        o, _ = self.gru(x)
        return self.out(o[:, -1])


def run_epoch(model, loader, criterion, optimizer=None, scheduler=None):
    train = optimizer is not None
    model.train(train)
    total = 0.0
    with torch.set_grad_enabled(train):
        for x, y in loader:
            loss = criterion(model(x), y)
            if train:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                scheduler.step()
            total += loss.item() * len(x)
    return total / len(loader.dataset)


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)

    series = make_series(2400, np.random.RandomState(seed))
    a, b = 1700, 2000
    mean, std = series[:a].mean(0), series[:a].std(0)
    train_set = HeatDataset(series[:a], mean, std)
    val_set = HeatDataset(series[a - WINDOW:b], mean, std)
    test_set = HeatDataset(series[b - WINDOW:], mean, std)
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    val_loader = DataLoader(val_set, batch_size=128)
    test_loader = DataLoader(test_set, batch_size=128)

    model = HeatGRU()
    criterion = nn.MSELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    # halve the learning rate every 5 epochs
    scheduler = StepLR(optimizer, step_size=5, gamma=0.5)

    best, best_state = math.inf, None
    for epoch in range(1, 16):
        train_loss = run_epoch(model, train_loader, criterion, optimizer, scheduler)
        val_loss = run_epoch(model, val_loader, criterion)
        if val_loss < best:
            best, best_state = val_loss, copy.deepcopy(model.state_dict())
        print(f"epoch {epoch:2d} | train {train_loss:.4f} | val {val_loss:.4f}")

    model.load_state_dict(best_state)
    test_loss = run_epoch(model, test_loader, criterion)
    print(f"test RMSE {math.sqrt(test_loss) * std[0]:.4f} kW")


if __name__ == "__main__":
    main()
