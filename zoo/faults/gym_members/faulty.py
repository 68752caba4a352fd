import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset, random_split


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def make_members(n: int, seed: int) -> TensorDataset:
    """Visits, age, contract ... -> (will the member leave?, spend in the cafe next month)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 10)).astype(np.float32)
    leave_logit = 2.5 * np.tanh(x[:, 0] * x[:, 1]) + 1.5 * x[:, 2] - x[:, 3]
    leave = (leave_logit + rng.logistic(scale=0.3, size=n) > 0).astype(np.float32)
    spend = np.sin(1.5 * x[:, 4]) + 0.8 * np.abs(x[:, 5]) + 0.5 * x[:, 2] + 0.1 * rng.normal(size=n)
    spend = (spend - spend.mean()) / spend.std()
    return TensorDataset(torch.from_numpy(x), torch.from_numpy(leave), torch.from_numpy(spend.astype(np.float32)))


class TwoTaskNet(nn.Module):
    def __init__(self, n_in: int, width: int = 64):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        self.leave = nn.Linear(width, 1)
        self.spend = nn.Linear(width, 1)

    def forward(self, x):
        h = self.body(x)
        return self.leave(h).squeeze(-1), self.spend(h).squeeze(-1)


class Trainer:
    def __init__(self, model, train_loader, val_loader, lr: float, spend_weight: float = 1.0):
        self.model = model
        self.train_loader = train_loader
        self.val_loader = val_loader
        self.spend_weight = spend_weight
        self.optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)

    def loss(self, batch):
        x, leave, spend = batch
        leave_logit, spend_hat = self.model(x)
        loss_leave = F.binary_cross_entropy_with_logits(leave_logit, leave)
        loss_spend = F.mse_loss(spend_hat, spend)
        return loss_leave + self.spend_weight * loss_spend

    def train_epoch(self) -> float:
        self.model.train()
        self.optimizer.zero_grad()
        total = 0.0
        for batch in self.train_loader:
            loss = self.loss(batch)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 5.0)
            self.optimizer.step()
            total += loss.item()
        return total / len(self.train_loader)

    @torch.no_grad()
    def validate(self):
        self.model.eval()
        hits, sq, var, n = 0, 0.0, 0.0, 0
        for x, leave, spend in self.val_loader:
            logit, spend_hat = self.model(x)
            hits += ((logit > 0).float() == leave).sum().item()
            sq += (spend_hat - spend).pow(2).sum().item()
            var += (spend - spend.mean()).pow(2).sum().item()
            n += len(x)
        return hits / n, 1 - sq / var

    def fit(self, epochs: int):
        for epoch in range(1, epochs + 1):
            loss = self.train_epoch()
            if epoch % 5 == 0:
                acc, r2 = self.validate()
                print(f"[{epoch:02d}/{epochs}] loss={loss:.4f} leave_acc={acc:.3f} spend_r2={r2:.3f}")


def main():
    seed = int(os.environ.get("SEED", "0"))
    set_seed(seed)
    data = make_members(3000, seed)
    train_set, val_set = random_split(data, [2400, 600], generator=torch.Generator().manual_seed(seed))
    trainer = Trainer(
        TwoTaskNet(10),
        DataLoader(train_set, batch_size=64, shuffle=True),
        DataLoader(val_set, batch_size=600),
        lr=0.02,
    )
    trainer.fit(epochs=15)
    acc, r2 = trainer.validate()
    print(f"final: leave accuracy {acc:.4f}, spend r2 {r2:.4f}")


if __name__ == "__main__":
    main()
