"""State recognition at the extruder (run / starved / overheated / screen blocked / purge)."""
from __future__ import annotations

import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
torch.set_num_threads(1)

STATES = ["run", "starved", "overheated", "screen_blocked", "purge"]
SENSORS = ["melt_pressure", "melt_temp", "screw_rpm", "torque", "zone1", "zone2"]


@dataclass
class Settings:
    window: int = 20
    windows_per_campaign: int = 150
    campaigns_per_state: int = 7
    batch_size: int = 32
    lr: float = 2e-3
    epochs: int = 10
    hidden: int = 96


def campaign(state: int, s: Settings, rng: np.random.Generator) -> np.ndarray:
    """One recording; the line was driven into one state and kept there."""
    level = np.zeros(len(SENSORS))
    level[[0, 3]] += {0: 0.0, 1: -0.7, 2: -0.3, 3: 0.8, 4: -0.5}[state]
    level[[1, 4, 5]] += {0: 0.0, 1: 0.2, 2: 0.8, 3: 0.2, 4: -0.4}[state]
    level += rng.normal(0, 0.15, len(SENSORS))
    wobble = {0: 0.2, 1: 0.9, 2: 0.3, 3: 0.5, 4: 0.8}[state]
    t = np.arange(s.window)
    out = []
    for _ in range(s.windows_per_campaign):
        phase = rng.uniform(0, 2 * np.pi)
        base = level + rng.normal(0, 0.35, len(SENSORS))
        swing = wobble * np.sin(2 * np.pi * t / 8 + phase)[:, None] * np.array([1, 0, 0.4, 0.8, 0, 0])
        out.append(base + swing + rng.normal(0, 0.5, (s.window, len(SENSORS))))
    return np.stack(out)


class ExtruderWindows(Dataset):
    """All recordings, one campaign behind the other, as they lie in the archive."""

    def __init__(self, s: Settings, part: str):
        rng = np.random.default_rng(seed)
        xs, ys = [], []
        for state in range(len(STATES)):
            for k in range(s.campaigns_per_state):
                x = campaign(state, s, rng)
                if (k >= s.campaigns_per_state - 2) == (part == "test"):
                    xs.append(x)
                    ys.append(np.full(len(x), state))
        self.x = torch.tensor(np.concatenate(xs), dtype=torch.float32)
        self.y = torch.tensor(np.concatenate(ys))

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, i: int):
        return self.x[i], self.y[i]


class StateNet(nn.Module):
    def __init__(self, s: Settings):
        super().__init__()
        self.net = nn.Sequential(
            nn.Flatten(),
            nn.Linear(s.window * len(SENSORS), s.hidden),
            nn.ReLU(),
            nn.Linear(s.hidden, s.hidden),
            nn.ReLU(),
            nn.Linear(s.hidden, len(STATES)),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)


def accuracy(model: nn.Module, loader: DataLoader) -> tuple[float, np.ndarray]:
    model.eval()
    table = np.zeros((len(STATES), len(STATES)), int)
    with torch.no_grad():
        for x, y in loader:
            for true, pred in zip(y.tolist(), model(x).argmax(1).tolist()):
                table[true, pred] += 1
    return np.trace(table) / table.sum(), table


def main() -> None:
    s = Settings()
    train_set, test_set = ExtruderWindows(s, "train"), ExtruderWindows(s, "test")
    train_loader = DataLoader(train_set, batch_size=s.batch_size)
    test_loader = DataLoader(test_set, batch_size=256)
    print(f"{len(train_set)} windows for training, {len(test_set)} for the test")

    model = StateNet(s)
    optimizer = torch.optim.Adam(model.parameters(), lr=s.lr)
    for epoch in range(1, s.epochs + 1):
        model.train()
        total = 0.0
        for x, y in train_loader:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(y)
        print(f"epoch {epoch:02d} loss {total / len(train_set):.4f}")
    acc, table = accuracy(model, test_loader)
    for name, row in zip(STATES, table):
        print(f"{name:>15} {row}")
    print(f"test_accuracy={acc:.4f}")


if __name__ == "__main__":
    main()
