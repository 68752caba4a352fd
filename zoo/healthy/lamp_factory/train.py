"""Predict how long a lamp burns from how it was made (mixed numeric and categorical columns)."""
import argparse
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    rows: int = 4000
    hidden: int = 96
    micro_batch: int = 32
    accumulate: int = 4
    lr: float = 3e-3
    weight_decay: float = 1e-3
    max_epochs: int = 80
    patience: int = 10
    seed: int = 5


def make_table(n, rng):
    numeric = np.column_stack([
        rng.normal(230, 6, n),          # voltage at test
        rng.gamma(4, 0.4, n),           # gas pressure
        rng.normal(48, 3, n),           # filament length
        rng.uniform(15, 38, n),         # hall temperature
        rng.lognormal(1.0, 0.5, n),     # impurity, ppm
        rng.integers(0, 24, n),         # hour of the day
    ])
    machine, glass, shift = rng.integers(0, 12, n), rng.integers(0, 5, n), rng.integers(0, 3, n)
    machine_effect = np.random.default_rng(1).normal(0, 0.25, 12)
    glass_slope = np.array([-0.5, -0.2, 0.0, 0.2, 0.5])
    volt, gas, length, temp, dirt, _ = numeric.T
    log_life = (7.0 - 5.5 * np.log(volt / 230) + 0.5 * np.tanh(gas - 1.5) + 0.03 * (length - 48)
                - 0.08 * dirt + machine_effect[machine] + glass_slope[glass] * (temp - 26) / 7
                - 0.15 * (shift == 2) * (temp > 30) + rng.normal(0, 0.12, n))
    return numeric, np.column_stack([machine, glass, shift]), log_life


class LampNet(nn.Module):
    def __init__(self, n_numeric, sizes, hidden):
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(s, min(6, s)) for s in sizes)
        width = n_numeric + sum(t.embedding_dim for t in self.tables)
        self.body = nn.Sequential(
            nn.Linear(width, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Dropout(0.05),
            nn.Linear(hidden, hidden), nn.LayerNorm(hidden), nn.SiLU(), nn.Linear(hidden, 1))

    def forward(self, numeric, cats):
        parts = [numeric] + [table(cats[:, i]) for i, table in enumerate(self.tables)]
        return self.body(torch.cat(parts, 1)).squeeze(1)


class Trainer:
    def __init__(self, model, cfg, folder):
        self.model, self.cfg = model, cfg
        self.best_file = Path(folder) / "best.pt"
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=cfg.lr, weight_decay=cfg.weight_decay)
        self.scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(self.optimizer, factor=0.5, patience=3)
        self.loss = nn.SmoothL1Loss()

    def train_epoch(self, loader):
        self.model.train()
        self.optimizer.zero_grad()
        n, k = len(loader), self.cfg.accumulate
        for i, (num, cat, y) in enumerate(loader):
            group = min(k, n - (i // k) * k)
            (self.loss(self.model(num, cat), y) / group).backward()
            if (i + 1) % k == 0 or i + 1 == n:
                self.optimizer.step()
                self.optimizer.zero_grad()

    @torch.no_grad()
    def predict(self, data):
        self.model.eval()
        return self.model(data[0], data[1])

    def fit(self, train, val):
        loader = DataLoader(TensorDataset(*train), batch_size=self.cfg.micro_batch, shuffle=True)
        best, waited = float("inf"), 0
        for epoch in range(self.cfg.max_epochs):
            self.train_epoch(loader)
            score = self.loss(self.predict(val), val[2]).item()
            self.scheduler.step(score)
            if score < best - 1e-5:
                best, waited = score, 0
                torch.save(self.model.state_dict(), self.best_file)
            else:
                waited += 1
            if epoch % 10 == 0:
                print(f"epoch {epoch:3d}  validation loss {score:.4f}")
            if waited >= self.cfg.patience:
                print(f"stopped after epoch {epoch}")
                break
        self.model.load_state_dict(torch.load(self.best_file))


def parse_config():
    parser = argparse.ArgumentParser()
    for f in fields(Config):
        parser.add_argument(f"--{f.name.replace('_', '-')}", type=type(f.default), default=f.default)
    return Config(**vars(parser.parse_args()))


if __name__ == "__main__":
    cfg = parse_config()
    torch.manual_seed(cfg.seed)
    rng = np.random.default_rng(cfg.seed)
    numeric, cats, y = make_table(cfg.rows, rng)
    order = rng.permutation(cfg.rows)
    a, b = int(0.7 * cfg.rows), int(0.85 * cfg.rows)
    tr, va, te = order[:a], order[a:b], order[b:]
    mu, sd, ymu, ysd = numeric[tr].mean(0), numeric[tr].std(0), y[tr].mean(), y[tr].std()

    def tensors(rows):
        return (torch.tensor((numeric[rows] - mu) / sd, dtype=torch.float32), torch.tensor(cats[rows]),
                torch.tensor((y[rows] - ymu) / ysd, dtype=torch.float32))

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(LampNet(6, [12, 5, 3], cfg.hidden), cfg, folder)
        trainer.fit(tensors(tr), tensors(va))
    test = tensors(te)
    error = trainer.predict(test) - test[2]
    r2 = 1 - error.pow(2).mean() / (test[2] - test[2].mean()).pow(2).mean()
    print(f"test R2 of log lifetime: {r2.item():.3f}")
