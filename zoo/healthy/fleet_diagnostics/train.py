"""Workshop bay sensors of a bus fleet: which of seven faults does the bus have?  (Often none, sometimes three.)"""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))
FAULTS = ["injector", "turbo", "battery", "brakes", "coolant", "gearbox", "doors"]


def fleet(n, rng):
    rates = np.array([0.15, 0.08, 0.2, 0.12, 0.1, 0.06, 0.18])
    y = (rng.random((n, 7)) < rates).astype(np.float32)
    sign = np.random.default_rng(77).normal(0, 1.0, (7, 16))      # how a failure shows in the 16 sensors
    age = rng.uniform(0, 1, (n, 1))
    x = y @ sign * (0.8 + 0.8 * age) + rng.normal(0, 0.6, (n, 16))
    x = np.hstack([x, age])
    gone = rng.random(n) < 0.2                                    # sensor 3 is not fitted everywhere
    x[gone, 3] = np.nan
    return x.astype(np.float32), y


def clean(x, mean, std):
    missing = np.isnan(x)
    z = np.where(missing, 0.0, (x - mean) / std)                  # the mean for what was not read
    return torch.tensor(np.hstack([z, missing[:, 3:4]]), dtype=torch.float32)


class Diagnoser(nn.Module):
    def __init__(self, inputs=18, outputs=7):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(inputs, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(64, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Linear(64, outputs))

    def forward(self, x):
        return self.layers(x)


def f1_each(pred, truth):
    tp = (pred & truth).sum(0).float()
    fp = (pred & ~truth).sum(0).float()
    fn = (~pred & truth).sum(0).float()
    return 2 * tp / (2 * tp + fp + fn).clamp(min=1)


@torch.no_grad()
def probabilities(model, loader):
    model.eval()
    return (torch.cat([torch.sigmoid(model(x)) for x, _ in loader]),
            torch.cat([y for _, y in loader]).bool())


def main():
    torch.manual_seed(SEED)
    x, y = fleet(7000, np.random.default_rng(SEED))
    parts = [slice(0, 4500), slice(4500, 5500), slice(5500, 7000)]
    mean, std = np.nanmean(x[parts[0]], 0), np.nanstd(x[parts[0]], 0)
    sets = [TensorDataset(clean(x[p], mean, std), torch.tensor(y[p])) for p in parts]
    train = DataLoader(sets[0], batch_size=64, shuffle=True, drop_last=True)
    valid, test = (DataLoader(s, batch_size=500) for s in sets[1:])

    positive = torch.tensor(y[parts[0]].mean(0))
    model = Diagnoser()
    # square root of the ratio: full balancing made too many false calls
    criterion = nn.BCEWithLogitsLoss(pos_weight=((1 - positive) / positive).sqrt())
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [12, 17], gamma=0.2)

    for epoch in range(20):
        model.train()
        losses = []
        for xb, yb in train:
            loss = criterion(model(xb), yb)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        if epoch % 4 == 3:
            p, t = probabilities(model, valid)
            print(f"epoch {epoch + 1:2d}  loss {np.mean(losses):.4f}  valid macro F1 {f1_each(p > 0.5, t).mean():.3f}")

    p, t = probabilities(model, valid)
    grid = torch.linspace(0.2, 0.8, 25)
    cuts = grid[torch.stack([f1_each(p > c, t) for c in grid]).argmax(0)]
    p, t = probabilities(model, test)
    scores = f1_each(p > cuts, t)
    for name, c, s in zip(FAULTS, cuts, scores):
        print(f"  {name:9s} threshold {c:.2f}  F1 {s:.3f}")
    print(f"test macro F1 {scores.mean():.4f}  (all faults called: {f1_each(torch.ones_like(t), t).mean():.3f})")


if __name__ == "__main__":
    main()
