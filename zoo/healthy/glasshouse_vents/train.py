"""Forecast the next 12 hours of a glasshouse thermometer from the last three days."""
import copy
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(5)
torch.manual_seed(5)
HOURS, LOOKBACK, HORIZON = 24 * 240, 72, 12

# --- a synthetic log: daily cycle, slowly wandering amplitude, AR(1) weather, vent opening above 26 C
t = np.arange(HOURS)
weather = np.zeros(HOURS)
cloud = np.zeros(HOURS)
for i in range(1, HOURS):
    weather[i] = 0.985 * weather[i - 1] + rng.normal(0, 0.35)
    cloud[i] = 0.97 * cloud[i - 1] + rng.normal(0, 0.12)
sun = np.clip(np.sin(2 * math.pi * (t - 6) / 24), 0, None) * (1 - 0.5 / (1 + np.exp(-3 * cloud)))
temp = np.full(HOURS, 16.0)
for i in range(1, HOURS):
    vent = max(0.0, temp[i - 1] - 26.0)
    target = 14 + weather[i] + 22 * sun[i]
    temp[i] = temp[i - 1] + 0.3 * (target - temp[i - 1]) - 0.25 * vent + rng.normal(0, 0.15)

n_train, n_val = int(0.7 * HOURS), int(0.15 * HOURS)
mean, std = temp[:n_train].mean(), temp[:n_train].std()
series = torch.tensor(np.stack([
    (temp - mean) / std,
    np.sin(2 * math.pi * t / 24),
    np.cos(2 * math.pi * t / 24),
]), dtype=torch.float32)


def window_starts(lo, hi):
    return torch.arange(lo, hi - LOOKBACK - HORIZON + 1)


splits = {
    "train": window_starts(0, n_train),
    "val": window_starts(n_train, n_train + n_val),
    "test": window_starts(n_train + n_val, HOURS),
}


def gather(starts):
    steps = starts[:, None] + torch.arange(LOOKBACK + HORIZON)
    block = series[:, steps].permute(1, 0, 2)
    return block[:, :, :LOOKBACK], block[:, 0, LOOKBACK:]


class CausalBlock(nn.Module):
    def __init__(self, width, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(width, 2 * width, 3, dilation=dilation)
        self.mix = nn.Conv1d(width, width, 1)

    def forward(self, x):
        a, b = self.conv(F.pad(x, (self.pad, 0))).chunk(2, dim=1)
        return x + self.mix(torch.tanh(a) * torch.sigmoid(b))


class Forecaster(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.inp = nn.Conv1d(3, width, 1)
        self.blocks = nn.ModuleList(CausalBlock(width, 2 ** k) for k in range(5))
        self.out = nn.Sequential(nn.Linear(width, 64), nn.ReLU(), nn.Linear(64, HORIZON))

    def forward(self, x):
        h = self.inp(x)
        for block in self.blocks:
            h = block(h)
        return x[:, :1, -1] + self.out(h[:, :, -1])


@torch.no_grad()
def mse(model, starts):
    model.eval()
    total = 0.0
    for chunk in starts.split(512):
        x, y = gather(chunk)
        total += F.mse_loss(model(x), y, reduction="sum").item()
    return total / (len(starts) * HORIZON)


model = Forecaster()
EPOCHS, BATCH = 7, 64
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-3)
steps_per_epoch = math.ceil(len(splits["train"]) / BATCH)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS * steps_per_epoch)
best_val, best_state = float("inf"), None
for epoch in range(EPOCHS):
    model.train()
    total = 0.0
    for batch in splits["train"][torch.randperm(len(splits["train"]))].split(BATCH):
        x, y = gather(batch)
        loss = F.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(batch)
    val = mse(model, splits["val"])
    if val < best_val:
        best_val, best_state = val, copy.deepcopy(model.state_dict())
    print(f"epoch {epoch}  train {total / len(splits['train']):.4f}  val {val:.4f}")

model.load_state_dict(best_state)
x, y = gather(splits["test"])
seasonal = x[:, 0, LOOKBACK - 24:LOOKBACK - 24 + HORIZON]
rmse = std * math.sqrt(mse(model, splits["test"]))
naive = std * F.mse_loss(seasonal, y).sqrt().item()
print(f"test RMSE {rmse:.3f} C, same hour yesterday {naive:.3f} C, skill {1 - (rmse / naive) ** 2:.3f}")
