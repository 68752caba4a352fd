"""Cost of a warranty claim (log euros) from the figures of the claim form."""
from __future__ import annotations

import copy
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))

DEFAULTS = {"lr": 2e-3, "batch_size": 32, "max_epochs": 190, "patience": 150, "width": 160, "n_train": 180, "n_val": 200}


@dataclass
class Claims:
    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.y)


def make_claims(n: int, rng: np.random.Generator, weights: np.ndarray) -> Claims:
    x = rng.normal(size=(n, len(weights)))
    y = x @ weights + 0.4 * np.maximum(x[:, 0], 0) * x[:, 1] + rng.normal(0, 1.0, n)
    return Claims(torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32))


class CostNet(nn.Module):
    def __init__(self, n_in: int, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(n_in, width), nn.ReLU(),
            nn.Linear(width, width), nn.ReLU(),
            nn.Linear(width, 1),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.body(x).squeeze(-1)


class EarlyStopping:
    """Remembers the best weights of the run and says when it is enough."""

    def __init__(self, patience: int):
        self.patience = patience
        self.best = float("inf")
        self.best_epoch = -1
        self.state: dict | None = None

    def update(self, epoch: int, value: float, model: nn.Module) -> bool:
        if value < self.best:
            self.best, self.best_epoch = value, epoch
            self.state = model.state_dict()
        return epoch - self.best_epoch >= self.patience

    def restore(self, model: nn.Module) -> None:
        model.load_state_dict(self.state)
        print(f"weights of epoch {self.best_epoch} (validation {self.best:.4f}) restored")


class CostTrainer:
    def __init__(self, train: Claims, val: Claims, **overrides):
        self.cfg = copy.deepcopy(DEFAULTS) | overrides
        self.train_data, self.val_data = train, val
        self.model = CostNet(train.x.shape[1], self.cfg["width"])
        self.loss = nn.MSELoss()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=self.cfg["lr"])
        self.stopper = EarlyStopping(self.cfg["patience"])

    def epoch(self) -> float:
        self.model.train()
        total = 0.0
        for idx in torch.randperm(len(self.train_data)).split(self.cfg["batch_size"]):
            self.optimizer.zero_grad()
            loss = self.loss(self.model(self.train_data.x[idx]), self.train_data.y[idx])
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(idx)
        return total / len(self.train_data)

    @torch.no_grad()
    def evaluate(self, data: Claims) -> float:
        self.model.eval()
        return self.loss(self.model(data.x), data.y).item()

    def run(self) -> None:
        for epoch in range(self.cfg["max_epochs"]):
            train = self.epoch()
            val = self.evaluate(self.val_data)
            if epoch % 20 == 0:
                print(f"epoch {epoch:3d}  train {train:.4f}  val {val:.4f}")
            if self.stopper.update(epoch, val, self.model):
                print(f"stopped after epoch {epoch}")
                break
        self.stopper.restore(self.model)


def main() -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    rng = np.random.default_rng(seed)
    weights = np.zeros(24)
    weights[:8] = rng.choice([-0.5, 0.5], 8)
    train = make_claims(DEFAULTS["n_train"], rng, weights)
    val = make_claims(DEFAULTS["n_val"], rng, weights)
    test = make_claims(2500, rng, weights)
    trainer = CostTrainer(train, val)
    trainer.run()
    mse = trainer.evaluate(test)
    print(f"test: mse {mse:.4f}, explained {1 - mse / test.y.var().item():.4f}")


if __name__ == "__main__":
    main()
