"""Will an ordered article come back? Net over article, size, country and the basket figures."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset, random_split

seed = int(os.environ.get("SEED", "0"))


def seed_everything(value):
    random.seed(value)
    np.random.seed(value)
    torch.manual_seed(value)
    torch.set_num_threads(1)


class Callback:
    def on_fit_start(self, loop): ...
    def on_epoch_end(self, loop, logs): ...
    def on_fit_end(self, loop): ...


class PrintLogs(Callback):
    def __init__(self, every=2):
        self.every = every

    def on_epoch_end(self, loop, logs):
        if loop.epoch % self.every == 0:
            print(f"epoch {loop.epoch:2d}  " + "  ".join(f"{k}={v:.4f}" for k, v in logs.items()))


class KeepLosses(Callback):
    def on_fit_start(self, loop):
        self.losses = []

    def on_epoch_end(self, loop, logs):
        self.losses.append(logs["val_loss"])

    def on_fit_end(self, loop):
        print(f"lowest validation loss {min(self.losses):.4f} in epoch {int(np.argmin(self.losses)) + 1}")


def orders(n=5000):
    g = np.random.default_rng(seed)
    article, size, country = g.integers(0, 40, n), g.integers(0, 8, n), g.integers(0, 6, n)
    price = g.lognormal(3.4, 0.6, n)
    basket = g.poisson(3, n) + 1
    earlier = g.beta(2, 5, n)
    per_article = g.normal(0, 1.6, 40)
    per_country = g.normal(0, 0.8, 6)
    logit = (
        per_article[article]
        + per_country[country]
        + 0.35 * (size - 3.5) ** 2 / 2
        + 1.2 * np.log(price / 30)
        + 6 * (earlier - 0.3)
        + 0.25 * (basket - 4)
        - 0.9
    )
    y = g.random(n) < 1 / (1 + np.exp(-2.0 * logit))
    cats = np.stack([article, size, country], 1)
    nums = np.stack([np.log(price) - 3.4, (basket - 4) / 2, (earlier - 0.3) * 5], 1)
    return TensorDataset(
        torch.tensor(cats), torch.tensor(nums, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    )


class ReturnNet(nn.Module):
    def __init__(self, cardinalities=(40, 8, 6), dim=6, n_num=3, hidden=64):
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(c, dim) for c in cardinalities])
        self.mlp = nn.Sequential(
            nn.Linear(dim * len(cardinalities) + n_num, hidden), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(hidden, hidden // 2), nn.ReLU(),
            nn.Linear(hidden // 2, 1),
        )

    def forward(self, cats, nums):
        parts = [table(cats[:, i]) for i, table in enumerate(self.tables)]
        return self.mlp(torch.cat(parts + [nums], 1)).squeeze(1)


def binary_acc(y_pred, y_true):
    """share of right answers in percent"""
    y_tag = torch.round(y_pred)
    return (y_tag == y_true).float().mean() * 100


class Loop:
    def __init__(self, model, callbacks, lr=2e-3, epochs=9):
        self.model, self.callbacks, self.epochs = model, callbacks, epochs
        self.criterion = nn.BCEWithLogitsLoss()
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.epoch = 0

    def call(self, hook, *args):
        for c in self.callbacks:
            getattr(c, hook)(self, *args)

    def run_epoch(self, loader, train):
        self.model.train(train)
        loss_sum = acc_sum = n = 0
        with torch.set_grad_enabled(train):
            for cats, nums, y in loader:
                out = self.model(cats, nums)
                loss = self.criterion(out, y)
                if train:
                    self.optimizer.zero_grad()
                    loss.backward()
                    self.optimizer.step()
                loss_sum += loss.item() * len(y)
                acc_sum += binary_acc(out, y).item() * len(y)
                n += len(y)
        return loss_sum / n, acc_sum / n

    def fit(self, train_loader, val_loader):
        self.call("on_fit_start")
        for self.epoch in range(1, self.epochs + 1):
            loss, acc = self.run_epoch(train_loader, True)
            val_loss, val_acc = self.run_epoch(val_loader, False)
            self.call("on_epoch_end", dict(loss=loss, acc=acc, val_loss=val_loss, val_acc=val_acc))
        self.call("on_fit_end")


if __name__ == "__main__":
    seed_everything(seed)
    data = orders()
    train, val, test = random_split(data, [3400, 600, 1000])
    loop = Loop(ReturnNet(), [PrintLogs(), KeepLosses()])
    loop.fit(DataLoader(train, batch_size=64, shuffle=True), DataLoader(val, batch_size=200))
    loss, acc = loop.run_epoch(DataLoader(test, batch_size=200), False)
    print(f"test loss {loss:.4f}  test acc {acc:.2f} %")
