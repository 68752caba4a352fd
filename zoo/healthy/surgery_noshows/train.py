"""A doctor's surgery wants to know which patients will miss their appointment."""
import copy
import os

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
CFG = dict(hidden=48, emb=4, lr=1e-3, batch=64, epochs=40, patience=6, weight_decay=1e-2, dropout=0.1)


def make_appointments(n, rng):
    lead = rng.exponential(14, n)                  # days between booking and visit
    age = rng.uniform(18, 90, n)
    missed = rng.poisson(0.8, n).astype(float)     # missed before
    weekday = rng.integers(0, 5, n)
    doctor = rng.integers(0, 9, n)
    doctor_effect = np.array([-.9, .4, .1, -.2, .8, 0., -.5, .6, -.3])
    logit = (-0.9 + 0.9 * np.log1p(lead / 7) + 0.6 * np.minimum(missed, 3)
             - 1.5 * np.exp(-((age - 65) / 15) ** 2) + 0.5 * (weekday == 0)
             + doctor_effect[doctor] - 0.5 * (weekday == 4) * (age < 40))
    y = (rng.random(n) < 1 / (1 + np.exp(-logit))).astype(np.float32)
    numbers = np.stack([np.log1p(lead), age, missed], 1).astype(np.float32)
    return numbers, np.stack([weekday, doctor], 1), y


class NoShowNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.day = nn.Embedding(5, cfg["emb"])
        self.doctor = nn.Embedding(9, cfg["emb"])
        self.body = nn.Sequential(
            nn.Linear(3 + 2 * cfg["emb"], cfg["hidden"]), nn.ReLU(), nn.Dropout(cfg["dropout"]),
            nn.Linear(cfg["hidden"], cfg["hidden"]), nn.ReLU(), nn.Linear(cfg["hidden"], 1))

    def forward(self, numbers, cats):
        x = torch.cat([numbers, self.day(cats[:, 0]), self.doctor(cats[:, 1])], dim=1)
        return self.body(x).squeeze(1)


class Trainer:
    def __init__(self, model, cfg):
        self.model, self.cfg = model, cfg
        self.loss = nn.BCEWithLogitsLoss()
        self.opt = torch.optim.AdamW(model.parameters(), lr=cfg["lr"], weight_decay=cfg["weight_decay"])
        self.best, self.best_state, self.bad = float("inf"), None, 0

    def run_epoch(self, loader):
        self.model.train()
        for numbers, cats, y in loader:
            self.opt.zero_grad()
            loss = self.loss(self.model(numbers, cats), y)
            loss.backward()
            self.opt.step()

    @torch.no_grad()
    def evaluate(self, tensors):
        self.model.eval()
        numbers, cats, y = tensors
        logits = self.model(numbers, cats)
        return self.loss(logits, y).item(), ((logits > 0).float() == y).float().mean().item()

    def fit(self, loader, valid):
        for epoch in range(self.cfg["epochs"]):
            self.run_epoch(loader)
            val_loss, val_acc = self.evaluate(valid)
            print(f"epoch {epoch:2d} valid loss {val_loss:.4f} accuracy {val_acc:.3f}")
            if val_loss < self.best:
                self.best, self.bad = val_loss, 0
                self.best_state = copy.deepcopy(self.model.state_dict())
            else:
                self.bad += 1
                if self.bad >= self.cfg["patience"]:
                    break
        self.model.load_state_dict(self.best_state)


def main():
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    numbers, cats, y = make_appointments(12000, rng)
    tr, va, te = slice(0, 8000), slice(8000, 10000), slice(10000, 12000)
    mean, std = numbers[tr].mean(0), numbers[tr].std(0)
    numbers = (numbers - mean) / std

    onehot = np.concatenate([numbers, np.eye(5)[cats[:, 0]], np.eye(9)[cats[:, 1]]], 1)
    baseline = LogisticRegression(max_iter=500).fit(onehot[tr], y[tr])
    base_acc = baseline.score(onehot[te], y[te])

    part = lambda s: (torch.from_numpy(numbers[s]), torch.from_numpy(cats[s]), torch.from_numpy(y[s]))
    loader = DataLoader(TensorDataset(*part(tr)), batch_size=CFG["batch"], shuffle=True)
    trainer = Trainer(NoShowNet(CFG), CFG)
    trainer.fit(loader, part(va))
    loss, acc = trainer.evaluate(part(te))
    common = max(y[te].mean(), 1 - y[te].mean())
    print(f"always the commoner answer {common:.3f}; logistic regression {base_acc:.3f}")
    print(f"test loss {loss:.4f}, test accuracy {acc:.3f}")


if __name__ == "__main__":
    main()
