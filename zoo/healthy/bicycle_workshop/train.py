"""How long will a bicycle stay in the workshop?  Repair sheets -> log hours."""
import copy
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)

CONFIG = {"hidden": 64, "lr": 3e-3, "weight_decay": 1e-3, "batch": 64, "max_epochs": 60, "patience": 10}


def make_sheets(n=8000):
    age = rng.gamma(3.0, 2.5, n)
    gears = rng.integers(1, 28, n)
    kind = rng.integers(0, 4, n)               # city, racing, cargo, child
    parts = rng.poisson(1.5, n)
    rust = rng.beta(2, 4, n)
    electric = (rng.random(n) < 0.3).astype(float)
    base = np.array([0.0, 0.2, 0.5, -0.4])[kind]
    log_hours = (0.3 + base + 0.35 * np.sqrt(parts) + 1.2 * rust * np.tanh(age / 8)
                 + 0.6 * electric * (kind == 2) + 0.015 * gears + 0.25 * rng.standard_normal(n))
    x = np.column_stack([age, gears, parts, rust, electric, np.eye(4)[kind]])
    return x.astype(np.float32), log_hours.astype(np.float32)[:, None]


class Trainer:
    def __init__(self, model, cfg):
        self.model = model
        self.cfg = cfg
        self.opt = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=cfg["weight_decay"])
        self.loss_fn = nn.MSELoss()
        self.best, self.best_state, self.bad = float("inf"), None, 0

    def train_epoch(self, loader):
        self.model.train()
        total = 0.0
        for xb, yb in loader:
            self.opt.zero_grad()
            loss = self.loss_fn(self.model(xb), yb)
            loss.backward()
            self.opt.step()
            total += loss.item() * len(xb)
        return total / len(loader.dataset)

    @torch.no_grad()
    def evaluate(self, loader):
        self.model.eval()
        total = sum(self.loss_fn(self.model(xb), yb).item() * len(xb) for xb, yb in loader)
        return total / len(loader.dataset)

    def fit(self, train, valid):
        for epoch in range(self.cfg["max_epochs"]):
            tr, va = self.train_epoch(train), self.evaluate(valid)
            if va < self.best - 1e-4:
                self.best, self.best_state, self.bad = va, copy.deepcopy(self.model.state_dict()), 0
            else:
                self.bad += 1
            if epoch % 5 == 0:
                print(f"epoch {epoch:3d} train {tr:.4f} valid {va:.4f}")
            if self.bad >= self.cfg["patience"]:
                print("stopped early at epoch", epoch)
                break
        self.model.load_state_dict(self.best_state)


def main():
    x, y = make_sheets()
    cut1, cut2 = 6000, 7000
    mx, sx = x[:cut1].mean(0), x[:cut1].std(0)
    my, sy = y[:cut1].mean(), y[:cut1].std()
    x, y = (x - mx) / sx, (y - my) / sy
    x, y = torch.from_numpy(x), torch.from_numpy(y)
    parts = [TensorDataset(x[a:b], y[a:b]) for a, b in ((0, cut1), (cut1, cut2), (cut2, len(x)))]
    train = DataLoader(parts[0], batch_size=CONFIG["batch"], shuffle=True)
    valid = DataLoader(parts[1], batch_size=512)
    test = DataLoader(parts[2], batch_size=512)
    h = CONFIG["hidden"]
    model = nn.Sequential(nn.Linear(x.shape[1], h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 1))
    trainer = Trainer(model, CONFIG)
    trainer.fit(train, valid)
    mse = trainer.evaluate(test)
    print(f"test R2 {1 - mse / parts[2].tensors[1].var(unbiased=False).item():.3f}  (noise allows about 0.81)")


if __name__ == "__main__":
    main()
