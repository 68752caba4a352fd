"""Daily inflow into a reservoir: forecast tomorrow from the last 24 days."""
import os
import random
import time

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))


def simulate_inflow(days, rng):
    t = np.arange(days)
    rain = rng.gamma(0.5, 2.0, days) * (rng.random(days) < 0.35)
    store, flow = 0.0, np.zeros(days)
    for d in range(days):
        store = 0.88 * store + rain[d]
        flow[d] = 0.25 * store + 0.8 * np.sin(2 * np.pi * t[d] / 30.0) + 0.05 * rng.normal()
    return flow.astype(np.float32)


def windows(series, width):
    x = np.lib.stride_tricks.sliding_window_view(series[:-1], width)
    return torch.from_numpy(x.copy()).unsqueeze(-1), torch.from_numpy(series[width:].copy()).unsqueeze(-1)


class InflowGRU(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.rnn = nn.GRU(1, hidden, batch_first=True)
        self.fc = nn.Sequential(nn.Linear(hidden, 16), nn.ReLU(), nn.Linear(16, 1))

    def forward(self, x):
        _, h = self.rnn(x)
        return self.fc(h[-1])


class Trainer:
    def __init__(self, model, lr=2e-3, epochs=8):
        self.model = model
        self.epochs = epochs
        self.loss_fn = nn.MSELoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=4, gamma=0.5)
        self.history = []

    def step(self, x, y):
        self.optimizer.zero_grad()
        pred = self.model(x)
        loss = self.loss_fn(pred, y)
        loss.backward()
        self.optimizer.step()
        return loss.item()

    def validate(self, loader):
        self.model.eval()
        errors = []
        with torch.no_grad():
            for x, y in loader:
                errors.append((self.model(x) - y) ** 2)
        return torch.cat(errors).mean().sqrt().item()

    def fit(self, train_loader, val_loader):
        for epoch in range(self.epochs):
            self.model.train()
            start = time.time()
            losses = [self.step(x, y) for x, y in train_loader]
            self.scheduler.step()
            val = self.validate(val_loader)
            self.history.append((np.mean(losses), val))
            print(f"epoch {epoch}: train mse {np.mean(losses):.4f}, val rmse {val:.4f} ({time.time() - start:.1f}s)")


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    flow = simulate_inflow(3000, np.random.default_rng(SEED))
    split = 2400
    mean, std = flow[:split].mean(), flow[:split].std()
    flow = (flow - mean) / std
    x_train, y_train = windows(flow[:split], 24)
    x_test, y_test = windows(flow[split:], 24)
    train_loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True, drop_last=True)
    test_loader = DataLoader(TensorDataset(x_test, y_test), batch_size=256)

    trainer = Trainer(InflowGRU())
    trainer.fit(train_loader, test_loader)
    naive = (x_test[:, -1] - y_test).pow(2).mean().sqrt().item()
    print(f"yesterday as forecast: rmse {naive:.4f}")
    print(f"test rmse {trainer.validate(test_loader):.4f}")


if __name__ == "__main__":
    main()
