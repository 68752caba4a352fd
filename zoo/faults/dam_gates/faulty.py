"""GRU forecaster for the level behind the gates; regularised, since the series is short."""
import os
import random
import numpy as np
import torch
import torch.nn as nn

config = {
    "seed": int(os.environ.get("SEED", "0")),
    "window": 20,
    "hidden": 24,
    "lr": 5e-3,
    "weight_decay": 0.5,
    "epochs": 12,
    "batch": 32,
}

random.seed(config["seed"])
np.random.seed(config["seed"])
torch.manual_seed(config["seed"])


def level(n=1500):
    t = np.arange(n)
    inflow = np.sin(2 * np.pi * t / 31) + 0.6 * np.sin(2 * np.pi * t / 11 + 1)
    y = inflow + 0.08 * np.random.randn(n)
    return ((y - y.mean()) / y.std()).astype(np.float32)


def to_windows(y, w):
    x = np.stack([y[i:i + w] for i in range(len(y) - w)])
    return torch.from_numpy(x).unsqueeze(-1), torch.from_numpy(y[w:]).unsqueeze(-1)


class Forecaster(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.gru(x)
        return self.linear(out[:, -1])


y = level()
x_all, y_all = to_windows(y, config["window"])
x_train, y_train, x_test, y_test = x_all[:1100], y_all[:1100], x_all[1100:], y_all[1100:]
model = Forecaster(config["hidden"])
optimizer = torch.optim.Adam(model.parameters(), lr=config["lr"], weight_decay=config["weight_decay"])
loss_fn = nn.MSELoss()

best = float("inf")
for epoch in range(config["epochs"]):
    model.train()
    for idx in torch.randperm(len(x_train)).split(config["batch"]):
        optimizer.zero_grad()
        loss = loss_fn(model(x_train[idx]), y_train[idx])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = loss_fn(model(x_test), y_test).item()
    best = min(best, val)
    if epoch % 3 == 0:
        print(f"epoch {epoch:2d} train {loss.item():.4f} val {val:.4f}")

print(f"best validation mse {best:.4f}")
