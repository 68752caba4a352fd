# Hourly bread sales -> the next six hours (exported from a notebook)
import copy
import os
import random
import numpy as np
import torch
import torch.nn as nn

# %% settings
seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

WINDOW = 36
HORIZON = 6
HIDDEN = 32
LR = 5e-3
EPOCHS = 16
BATCH = 64

# %% the series
hours = np.arange(1600)
rng = np.random.default_rng(seed)
level = np.cumsum(rng.normal(0, 0.3, len(hours)))
level -= np.linspace(level[0], level[-1], len(hours))
sales = (60 + 18 * np.sin(2 * np.pi * hours / 12) + 10 * np.sin(2 * np.pi * hours / 84 + 1)
         + 6 * (hours % 12 == 3) + level + rng.normal(0, 1.5, len(hours)))
promo = (rng.random(len(hours)) < 0.06).astype(float)
sales = sales + 12 * np.roll(promo, 2)

n_train, n_valid = 1000, 250
mean, std = sales[:n_train].mean(), sales[:n_train].std()
series = np.stack([(sales - mean) / std, promo], axis=1).astype(np.float32)


# %% windows
def windows(values):
    xs, ys = [], []
    for i in range(len(values) - WINDOW - HORIZON + 1):
        xs.append(values[i:i + WINDOW])
        ys.append(values[i + WINDOW:i + WINDOW + HORIZON, 0])
    return torch.from_numpy(np.stack(xs)), torch.from_numpy(np.stack(ys))


x_train, y_train = windows(series[:n_train])
x_valid, y_valid = windows(series[n_train:n_train + n_valid])
x_test, y_test = windows(series[n_train + n_valid:])
print("windows", tuple(x_train.shape), tuple(x_valid.shape), tuple(x_test.shape))


# %% model
class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(2, HIDDEN, batch_first=True)
        self.fc = nn.Linear(HIDDEN, HORIZON)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.fc(out[:, -1, :])


model = Forecaster()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=LR)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)

# %% training
best, best_state, bad = float("inf"), None, 0
for epoch in range(EPOCHS):
    model.train()
    perm = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(perm), BATCH):
        idx = perm[i:i + BATCH]
        optimizer.zero_grad()
        loss = criterion(model(x_train[idx]), y_train[idx])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(idx)
    model.eval()
    with torch.no_grad():
        valid = criterion(model(x_valid), y_valid).item()
    scheduler.step(valid)
    print(f"epoch {epoch + 1:2d}  train {total / len(perm):.4f}  valid {valid:.4f}  lr {optimizer.param_groups[0]['lr']:.5f}")
    if valid < best:
        best, bad = valid, 0
        best_state = copy.deepcopy(model.state_dict())
    else:
        bad += 1
        if bad >= 6:
            print("stop")
            break

# %% test, in loaves
model.load_state_dict(best_state)
model.eval()
with torch.no_grad():
    pred = model(x_test) * std + mean
mae = (pred - (y_test * std + mean)).abs().mean().item()
naive = (x_test[:, -12:-6, 0] - y_test).abs().mean().item() * std
print(f"yesterday's hours: {naive:.3f}")
print(f"test MAE (loaves): {mae:.4f}")
