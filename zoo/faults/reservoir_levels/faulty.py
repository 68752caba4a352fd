"""Level of a drinking water reservoir, one day ahead, from the last four weeks."""
import os
import random
from typing import Tuple

import numpy as np
import torch
from torch import nn, Tensor
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))


def set_seed(s: int) -> None:
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


def make_levels(days: int = 1500) -> np.ndarray:
    rng = np.random.default_rng(seed)
    t = np.arange(days)
    season = 12 * np.sin(2 * np.pi * t / 365.25 + rng.uniform(0, 6))
    weekly = -2.5 * ((t % 7) < 5)
    level = np.zeros(days)
    x = 0.0
    for i in range(days):
        rain = rng.exponential(3.0) if rng.random() < 0.25 else 0.0
        x = 0.93 * x + 0.8 * rain - 0.5
        level[i] = 60 + season[i] + weekly[i] + x + rng.normal(0, 0.4)
    return level


def windows(series: np.ndarray, length: int) -> Tuple[Tensor, Tensor]:
    xs = np.stack([series[i:i + length] for i in range(len(series) - length)])
    ys = series[length:]
    return (torch.tensor(xs, dtype=torch.float32).unsqueeze(-1),
            torch.tensor(ys, dtype=torch.float32).unsqueeze(-1))


class LevelNet(nn.Module):
    def __init__(self, hidden: int = 32) -> None:
        super().__init__()
        self.gru = nn.GRU(1, hidden, batch_first=True)
        self.head = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.gru(x)
        return self.head(out[:, -1])


class Trainer:
    def __init__(self, model: nn.Module, train: DataLoader, valid: DataLoader, epochs: int = 18) -> None:
        self.model = model
        self.train_loader = train
        self.valid_loader = valid
        self.epochs = epochs
        self.criterion = nn.MSELoss()
        # small steps so that the recurrent part stays stable
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-5)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=4)

    def run_epoch(self) -> float:
        self.model.train()
        total = 0.0
        for x, y in self.train_loader:
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(x), y)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            total += loss.item() * len(x)
        return total / len(self.train_loader.dataset)

    @torch.no_grad()
    def evaluate(self, loader: DataLoader) -> float:
        self.model.eval()
        total = 0.0
        for x, y in loader:
            total += self.criterion(self.model(x), y).item() * len(x)
        return total / len(loader.dataset)

    def fit(self) -> None:
        for epoch in range(self.epochs):
            tr = self.run_epoch()
            va = self.evaluate(self.valid_loader)
            self.scheduler.step(va)
            print(f"[{epoch + 1:02d}/{self.epochs}] train mse {tr:.5f} | valid mse {va:.5f}")


def main() -> None:
    set_seed(seed)
    level = make_levels()
    n_train, n_valid = 1000, 200
    mean, std = level[:n_train].mean(), level[:n_train].std()
    scaled = (level - mean) / std
    L = 28
    x_tr, y_tr = windows(scaled[:n_train], L)
    x_va, y_va = windows(scaled[n_train - L:n_train + n_valid], L)
    x_te, y_te = windows(scaled[n_train + n_valid - L:], L)
    trainer = Trainer(
        LevelNet(),
        DataLoader(TensorDataset(x_tr, y_tr), batch_size=32, shuffle=True),
        DataLoader(TensorDataset(x_va, y_va), batch_size=256),
    )
    trainer.fit()
    test = trainer.evaluate(DataLoader(TensorDataset(x_te, y_te), batch_size=256))
    print(f"test rmse {test ** 0.5 * std:.3f} cm")


if __name__ == "__main__":
    main()
