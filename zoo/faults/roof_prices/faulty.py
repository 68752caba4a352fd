"""Price of a house from its record, plain regression."""
import os
import random
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

SEED: int = int(os.environ.get("SEED", "0"))


class Houses(Dataset):
    def __init__(self, n: int, rng: np.random.Generator):
        area = rng.uniform(40, 250, n)
        rooms = np.clip(np.round(area / 28 + rng.normal(0, 1, n)), 1, 10)
        year = rng.integers(1900, 2024, n)
        dist = rng.exponential(6, n)
        floor = rng.integers(0, 9, n)
        garden = rng.random(n) < 0.3
        district = rng.integers(0, 5, n)
        bonus = np.array([0, 35, -20, 60, 10])[district]
        price = (2.1 * area * np.exp(-dist / 15) + 9 * rooms + 0.25 * np.abs(year - 1965) + 30 * garden * (floor == 0)
                 + bonus + rng.normal(0, 12, n))
        onehot = np.eye(5)[district]
        self.x = np.column_stack([area, rooms, year, dist, floor, garden, onehot]).astype(np.float32)
        self.y = price.astype(np.float32)

    def standardise(self, stats=None):
        if stats is None:
            stats = (self.x.mean(0), self.x.std(0), self.y.mean(), self.y.std())
        mx, sx, my, sy = stats
        self.x = (self.x - mx) / sx
        self.y = (self.y - my) / sy
        return stats

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, i: int) -> Tuple[Tensor, Tensor]:
        return torch.from_numpy(self.x[i]), torch.tensor([self.y[i]])


class PriceNet(nn.Module):
    def __init__(self, n_features: int, hidden: int = 64):
        super().__init__()
        self.fc1 = nn.Linear(n_features, hidden)
        self.fc2 = nn.Linear(hidden, hidden)
        self.fc3 = nn.Linear(hidden, 1)
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.fc1(x))
        x = self.act(self.fc2(x))
        return self.act(self.fc3(x))


def train_one_epoch(model: nn.Module, loader: DataLoader, loss_fn: nn.Module, opt: torch.optim.Optimizer) -> float:
    model.train()
    total = 0.0
    for x, y in loader:
        pred = model(x)
        loss = loss_fn(pred, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item()
    return total / len(loader)


def r2_score(model: nn.Module, loader: DataLoader) -> float:
    model.eval()
    preds, truth = [], []
    with torch.no_grad():
        for x, y in loader:
            preds.append(model(x))
            truth.append(y)
    p, t = torch.cat(preds), torch.cat(truth)
    return (1 - ((p - t) ** 2).sum() / ((t - t.mean()) ** 2).sum()).item()


def main() -> None:
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train_set, test_set = Houses(2000, rng), Houses(600, rng)
    stats = train_set.standardise()
    test_set.standardise(stats)
    train_loader = DataLoader(train_set, batch_size=64, shuffle=True)
    test_loader = DataLoader(test_set, batch_size=200)

    model = PriceNet(train_set.x.shape[1])
    loss_fn = nn.MSELoss()
    opt = torch.optim.Adam(model.parameters(), lr=1e-3, weight_decay=1e-5)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.92)
    for epoch in range(20):
        loss = train_one_epoch(model, train_loader, loss_fn, opt)
        sched.step()
        if epoch % 5 == 4:
            print(f"Epoch {epoch + 1:02d} | loss {loss:.4f} | R2 {r2_score(model, test_loader):.4f}")
    print(f"final R2: {r2_score(model, test_loader):.4f}")


if __name__ == "__main__":
    main()
