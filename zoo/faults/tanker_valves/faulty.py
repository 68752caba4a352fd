"""How much oil went through a tanker's valve, from the record of the flow meter and the valve's switch."""
import copy
import os
import random

import numpy as np
import torch
from torch import nn


class ValveEncoder(nn.Module):
    """A recurrent cell that is rolled over the record by hand, so that other cells can be tried."""

    def __init__(self, channels: int, hidden: int):
        super().__init__()
        self.hidden = hidden
        self.inp = nn.Sequential(nn.Linear(channels, hidden), nn.Tanh())
        self.cell = nn.GRUCell(hidden, hidden)

    def forward(self, record: torch.Tensor) -> torch.Tensor:
        h = record.new_zeros(record.shape[0], self.hidden)
        steps = self.inp(record)
        for t in range(record.shape[1]):
            h = h.detach()  # new state, keep the memory small
            h = self.cell(steps[:, t], h)
        return h


class VolumeModel(nn.Module):
    def __init__(self, channels: int = 3, hidden: int = 40):
        super().__init__()
        self.encoder = ValveEncoder(channels, hidden)
        self.out = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1))

    def forward(self, record):
        return self.out(self.encoder(record)).squeeze(-1)


class EMA:
    def __init__(self, model, decay=0.98):
        self.shadow = copy.deepcopy(model).eval()
        for p in self.shadow.parameters():
            p.requires_grad_(False)
        self.decay = decay

    def update(self, model):
        with torch.no_grad():
            for s, p in zip(self.shadow.parameters(), model.parameters()):
                s.lerp_(p, 1 - self.decay)


def record_voyages(count: int, length: int, rng: np.random.Generator):
    flow = rng.uniform(-1, 1, (count, length))
    switch = np.zeros((count, length))
    for row in range(count):
        begin = rng.integers(0, length // 2)
        end = begin + rng.integers(4, length // 2)
        switch[row, begin:end] = 1
    temperature = rng.normal(0, 0.3, (count, length))
    volume = (flow * switch).sum(1) / 2.0
    x = np.stack([flow, switch, temperature], axis=2)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(volume, dtype=torch.float32)


def endless(x, y, batch):
    while True:
        order = torch.randperm(len(x))
        for i in range(0, len(x) - batch + 1, batch):
            pick = order[i:i + batch]
            yield x[pick], y[pick]


class Trainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.ema = EMA(model)
        self.optimizer = torch.optim.Adam(model.parameters(), lr=cfg["lr"])
        self.scheduler = torch.optim.lr_scheduler.OneCycleLR(
            self.optimizer, max_lr=cfg["lr"], total_steps=cfg["steps"], pct_start=0.15)
        self.loss = nn.SmoothL1Loss()

    def r2(self, x, y):
        with torch.no_grad():
            error = (self.ema.shadow(x) - y).pow(2).mean()
        return 1 - (error / y.var()).item()

    def fit(self, batches, valid):
        self.model.train()
        mean = None
        for step in range(1, self.cfg["steps"] + 1):
            x, y = next(batches)
            loss = self.loss(self.model(x), y)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), self.cfg["clip"])
            self.optimizer.step()
            self.scheduler.step()
            self.ema.update(self.model)
            mean = loss.item() if mean is None else 0.95 * mean + 0.05 * loss.item()
            if step % self.cfg["log_every"] == 0:
                print(f"step {step:4d}  loss {mean:.4f}  valid r2 {self.r2(*valid):.3f}")


def main():
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    cfg = {"lr": 6e-3, "steps": 300, "clip": 1.0, "log_every": 50, "batch": 64}
    train = record_voyages(4000, 20, rng)
    valid = record_voyages(500, 20, rng)
    test = record_voyages(800, 20, rng)
    trainer = Trainer(VolumeModel(), cfg)
    trainer.fit(endless(*train, cfg["batch"]), valid)
    print(f"test r2 {trainer.r2(*test):.4f}")


if __name__ == "__main__":
    main()
