"""Hammer prices at a farm auction: numeric columns plus categorical embeddings."""
import argparse
import logging
import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

log = logging.getLogger("barn")


@dataclass
class Settings:
    rows: int = 8000
    micro_batch: int = 32
    accumulate: int = 4
    epochs: int = 18
    lr: float = 4e-3
    seed: int = 13
    cardinalities: tuple = field(default=(24, 9, 5))


class Lots(Dataset):
    def __init__(self, num, cat, price):
        self.num, self.cat, self.price = num, cat, price

    def __len__(self):
        return len(self.price)

    def __getitem__(self, i):
        return self.num[i], self.cat[i], self.price[i]


def simulate(s):
    rng = np.random.default_rng(s.seed)
    kind, county, state = (rng.integers(0, c, s.rows) for c in s.cardinalities)
    age, hours, bidders = rng.gamma(2, 5, s.rows), rng.gamma(2, 900, s.rows), 1 + rng.poisson(5, s.rows)
    base, drift = rng.normal(8, 0.9, s.cardinalities[0]), rng.uniform(0.02, 0.09, s.cardinalities[0])
    log_price = (base[kind] - drift[kind] * age + rng.normal(0, 0.2, s.cardinalities[1])[county]
                 + np.linspace(-0.7, 0.5, s.cardinalities[2])[state] - 0.00012 * hours
                 + 0.25 * np.log(bidders) + rng.standard_t(5, s.rows) * 0.12)
    num = np.column_stack([age, np.log1p(hours), np.log(bidders)])
    return num, np.column_stack([kind, county, state]), log_price


def split(num, cat, target, seed):
    order = np.random.default_rng(seed).permutation(len(target))
    a, b = int(0.7 * len(order)), int(0.85 * len(order))
    parts = order[:a], order[a:b], order[b:]
    mu, sd = num[parts[0]].mean(0), num[parts[0]].std(0)
    t_mu, t_sd = target[parts[0]].mean(), target[parts[0]].std()
    make = lambda p: Lots(torch.tensor((num[p] - mu) / sd).float(), torch.tensor(cat[p]),
                          torch.tensor((target[p] - t_mu) / t_sd).float())
    return [make(p) for p in parts], t_sd


class PriceNet(nn.Module):
    def __init__(self, cardinalities, n_num):
        super().__init__()
        dims = [min(12, (c + 1) // 2) for c in cardinalities]
        self.embeddings = nn.ModuleList(nn.Embedding(c, d) for c, d in zip(cardinalities, dims))
        self.mlp = nn.Sequential(nn.Linear(sum(dims) + n_num, 96), nn.SiLU(), nn.Dropout(0.05),
                                 nn.Linear(96, 48), nn.SiLU(), nn.Linear(48, 1))

    def forward(self, num, cat):
        parts = [e(cat[:, i]) for i, e in enumerate(self.embeddings)]
        return self.mlp(torch.cat([num, *parts], dim=1)).squeeze(1)


class Trainer:
    def __init__(self, s, train_set, val_set):
        self.s = s
        self.model = PriceNet(s.cardinalities, train_set.num.shape[1])
        self.loader = DataLoader(train_set, s.micro_batch, shuffle=True)
        self.val_loader = DataLoader(val_set, 512)
        self.loss = nn.SmoothL1Loss(reduction="sum")
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=s.lr, weight_decay=1e-3)
        updates = math.ceil(len(self.loader) / s.accumulate) * s.epochs
        self.scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(self.optimizer, updates)

    def groups(self):
        """Yield lists of micro-batches; the last list of an epoch may be shorter."""
        pending = []
        for batch in self.loader:
            pending.append(batch)
            if len(pending) == self.s.accumulate:
                yield pending
                pending = []
        if pending:
            yield pending

    def train_epoch(self):
        self.model.train()
        total = 0.0
        for group in self.groups():
            rows = sum(len(price) for *_, price in group)
            self.optimizer.zero_grad()
            for num, cat, price in group:
                with torch.autocast("cpu", torch.bfloat16):
                    pred = self.model(num, cat)
                loss = self.loss(pred.float(), price)
                (loss / rows).backward()
                total += loss.item()
            self.optimizer.step()
            self.scheduler.step()
        return total / len(self.loader.dataset)

    @torch.no_grad()
    def mse(self, loader):
        self.model.eval()
        return sum((self.model(n, c) - p).square().sum().item() for n, c, p in loader) / len(loader.dataset)

    def fit(self):
        for epoch in range(self.s.epochs):
            train = self.train_epoch()
            if epoch % 3 == 2:
                log.info("epoch %d  train huber %.4f  val mse %.4f", epoch + 1, train, self.mse(self.val_loader))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=Settings.epochs)
    parser.add_argument("--lr", type=float, default=Settings.lr)
    s = Settings(**vars(parser.parse_args()))
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    torch.manual_seed(s.seed)
    (train_set, val_set, test_set), t_sd = split(*simulate(s), s.seed)
    trainer = Trainer(s, train_set, val_set)
    trainer.fit()
    mse = trainer.mse(DataLoader(test_set, 512))
    log.info("test R2 %.4f, RMSE of log price %.4f", 1 - mse / test_set.price.var().item(), t_sd * mse ** 0.5)


if __name__ == "__main__":
    main()
