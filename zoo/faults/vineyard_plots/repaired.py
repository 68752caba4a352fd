"""Vineyard plots: predict the sugar of the must (degrees) and the variety from soil and weather.

One trunk, two heads.
"""
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, Dataset

seed = int(os.environ.get("SEED", "0"))


@dataclass
class Settings:
    plots: int = 3000
    hidden: int = 64
    epochs: int = 12
    batch_size: int = 64
    lr: float = 2e-3
    sugar_weight: float = 1.0
    variety_weight: float = 0.5


class Plots(Dataset):
    def __init__(self, x, sugar, variety):
        self.x = torch.as_tensor(x, dtype=torch.float32)
        self.sugar = torch.as_tensor(sugar, dtype=torch.float32)
        self.variety = torch.as_tensor(variety, dtype=torch.long)

    def __len__(self):
        return len(self.x)

    def __getitem__(self, i):
        return {"x": self.x[i], "sugar": self.sugar[i], "variety": self.variety[i]}


def harvest(s):
    rng = np.random.default_rng(seed)
    variety = rng.integers(0, 4, s.plots)
    means = rng.normal(0, 1.0, (4, 12))
    x = means[variety] + rng.normal(0, 1, (s.plots, 12))
    w = rng.normal(0, 1, 12)
    sugar = 85 + 6 * np.tanh(x @ w / 3) + 4 * np.sin(x[:, 0]) + 2 * x[:, 1] * (x[:, 2] > 0) + rng.normal(0, 1, s.plots)
    return x, sugar, variety


class TwoHeads(nn.Module):
    def __init__(self, n_in, hidden):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(n_in, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU())
        self.sugar = nn.Linear(hidden, 1)
        self.variety = nn.Linear(hidden, 4)

    def forward(self, x):
        h = self.trunk(x)
        return self.sugar(h), self.variety(h)


def evaluate(model, loader, mean, std):
    model.eval()
    pred, true, hits = [], [], 0
    with torch.no_grad():
        for batch in loader:
            sugar, variety = model(batch["x"])
            pred.extend(sugar.flatten().tolist())
            true.extend(batch["sugar"].tolist())
            hits += (variety.argmax(1) == batch["variety"]).sum().item()
    pred, true = np.array(pred) * std + mean, np.array(true) * std + mean
    r2 = 1 - ((pred - true) ** 2).sum() / ((true - true.mean()) ** 2).sum()
    return r2, hits / len(true)


def main():
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    s = Settings()
    x, sugar, variety = harvest(s)
    cut = int(0.8 * s.plots)
    x = (x - x[:cut].mean(0)) / x[:cut].std(0)
    mean, std = sugar[:cut].mean(), sugar[:cut].std()
    sugar = (sugar - mean) / std
    train = DataLoader(Plots(x[:cut], sugar[:cut], variety[:cut]), batch_size=s.batch_size, shuffle=True, drop_last=True)
    test = DataLoader(Plots(x[cut:], sugar[cut:], variety[cut:]), batch_size=200)

    model = TwoHeads(12, s.hidden)
    optimizer = torch.optim.AdamW(model.parameters(), lr=s.lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, s.epochs)
    mse, ce = nn.MSELoss(), nn.CrossEntropyLoss()

    for epoch in range(s.epochs):
        model.train()
        log = np.zeros(2)
        for batch in train:
            sugar_hat, variety_hat = model(batch["x"])
            loss_sugar = mse(sugar_hat.squeeze(1), batch["sugar"])
            loss_variety = ce(variety_hat, batch["variety"])
            loss = s.sugar_weight * loss_sugar + s.variety_weight * loss_variety
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log += [loss_sugar.item(), loss_variety.item()]
        scheduler.step()
        r2, acc = evaluate(model, test, mean, std)
        log /= len(train)
        print(f"epoch {epoch + 1:2d} | sugar {log[0]:.4f} variety {log[1]:.4f} | R2 {r2:.3f} acc {acc:.3f}")

    r2, acc = evaluate(model, test, mean, std)
    print(f"variety accuracy {acc:.4f}")
    print(f"sugar R2 {r2:.4f}")


if __name__ == "__main__":
    main()
