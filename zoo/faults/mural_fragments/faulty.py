import copy
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
cfg = dict(epochs=8, batch_size=64, lr=2e-3, ema_decay=0.97, width=24)


def seed_all(s):
    random.seed(s)
    np.random.seed(s)
    torch.manual_seed(s)


class ModelEma:
    """Keeps a moving average of the weights; the averaged model is the one that is shipped."""

    def __init__(self, model, decay):
        self.module = copy.deepcopy(model).eval()
        for p in self.module.parameters():
            p.requires_grad_(False)
        self.decay = decay

    @torch.no_grad()
    def update(self, model):
        for e, p in zip(self.module.parameters(), model.parameters()):
            e.lerp_(p, 1 - self.decay)


def block(cin, cout):
    return nn.Sequential(nn.Conv2d(cin, cout, 3, padding=1, bias=False), nn.BatchNorm2d(cout), nn.ReLU())


def build(width):
    return nn.Sequential(
        block(1, width),
        block(width, width),
        nn.MaxPool2d(2),
        block(width, 2 * width),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(8 * width, 10),
    )


class Trainer:
    def __init__(self, cfg, train, test):
        self.cfg = cfg
        self.model = build(cfg["width"])
        self.ema = ModelEma(self.model, cfg["ema_decay"])
        self.opt = torch.optim.AdamW(self.model.parameters(), lr=cfg["lr"], weight_decay=1e-2)
        self.train_loader = DataLoader(train, cfg["batch_size"], shuffle=True, drop_last=True)
        self.test_loader = DataLoader(test, 256)
        total = cfg["epochs"] * len(self.train_loader)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, total)

    def fit(self):
        for epoch in range(self.cfg["epochs"]):
            self.model.train()
            total = 0.0
            for x, y in self.train_loader:
                self.opt.zero_grad(set_to_none=True)
                loss = F.cross_entropy(self.model(x), y, label_smoothing=0.05)
                loss.backward()
                self.opt.step()
                self.sched.step()
                self.ema.update(self.model)
                total += loss.item()
            print(f"epoch {epoch} loss {total / len(self.train_loader):.4f} averaged {self.evaluate(self.ema.module):.4f}")

    @torch.no_grad()
    def evaluate(self, model):
        model.eval()
        good = n = 0
        for x, y in self.test_loader:
            good += (model(x).argmax(1) == y).sum().item()
            n += len(y)
        return good / n


if __name__ == "__main__":
    seed_all(SEED)
    bunch = load_digits()
    # pigment level of a fragment, 0..16 as scanned; the first normalisation layer takes care of the scale
    x = torch.tensor(bunch.images, dtype=torch.float32)[:, None]
    y = torch.tensor(bunch.target)
    xa, xb, ya, yb = train_test_split(x, y, test_size=0.3, random_state=SEED)
    trainer = Trainer(cfg, TensorDataset(xa, ya), TensorDataset(xb, yb))
    trainer.fit()
    print(f"final accuracy {trainer.evaluate(trainer.ema.module):.4f}")
