"""Forecast of a museum's daily visitors for the coming day, with a GRU over the last 28 days."""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

SEED = int(os.environ.get("SEED", "0"))
WINDOW = 28
EPOCHS = 14


def visitors(days, rng):
    t = np.arange(days)
    week = np.array([0.5, 0.6, 0.7, 0.75, 0.9, 1.6, 1.5])[t % 7]
    year = 1 + 0.35 * np.sin(2 * np.pi * (t - 80) / 365.25)
    mood = np.zeros(days)
    for i in range(1, days):
        mood[i] = 0.9 * mood[i - 1] + rng.normal(0, 0.07)
    return 900 * week * year * np.exp(mood) * np.exp(rng.normal(0, 0.05, days))


class Windows(Dataset):
    """28 days of log visitors with the weekday, and the day after."""

    def __init__(self, series, start, stop):
        self.series, self.start, self.stop = series, start, stop

    def __len__(self):
        return self.stop - self.start

    def __getitem__(self, i):
        day = self.start + i
        past = np.arange(day - WINDOW, day)
        angle = 2 * np.pi * ((past + 1) % 7) / 7
        x = np.stack([self.series[past], np.sin(angle), np.cos(angle)], 1)
        return torch.tensor(x, dtype=torch.float32), torch.tensor(self.series[day], dtype=torch.float32)


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.GRU(3, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        states, _ = self.rnn(x)
        return x[:, -7, 0] + self.out(states[:, -1]).squeeze(-1)    # a change to the same weekday last week


@torch.no_grad()
def mae(model, loader, scale):
    model.eval()
    errors = [(model(x) - y).abs() for x, y in loader]
    return torch.cat(errors).mean().item() * scale


def main():
    torch.manual_seed(SEED)
    raw = np.log(visitors(1500, np.random.default_rng(SEED)))
    n_train, n_valid = 1050, 1250
    mean, scale = raw[:n_train].mean(), raw[:n_train].std()
    series = (raw - mean) / scale
    train = DataLoader(Windows(series, WINDOW, n_train), batch_size=32, shuffle=True)
    valid = DataLoader(Windows(series, n_train, n_valid), batch_size=250)
    test = DataLoader(Windows(series, n_valid, len(series)), batch_size=250)

    model = Forecaster()
    opt = torch.optim.Adam(model.parameters(), lr=5e-3)
    sched = torch.optim.lr_scheduler.ReduceLROnPlateau(opt, factor=0.3, patience=2)
    loss_fn = nn.SmoothL1Loss()
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for x, y in train:
            opt.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            total += loss.item() * len(y)
        score = mae(model, valid, scale)
        sched.step(score)
        print(f"epoch {epoch} train {total / len(train.dataset):.4f} valid mae {score:.4f} "
              f"lr {opt.param_groups[0]['lr']:.5f}")
    naive = np.abs(raw[n_valid:] - raw[n_valid - 7:-7]).mean()
    print(f"same day last week: error of log visitors {naive:.4f}")
    print(f"GRU: error of log visitors {mae(model, test, scale):.4f}")


if __name__ == "__main__":
    main()
