# Salary band (1-5) from eight survey answers.  The answers explain only part of it,
# so do not expect much more than every second band to be right.
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
rng = np.random.default_rng(seed)
torch.manual_seed(seed)

# ---------------------------------------------------------------- the survey
n = 9000
years = rng.gamma(2.0, 6.0, n).clip(0, 45)
school = rng.integers(0, 4, n)
sector = rng.integers(0, 8, n)
hours = rng.normal(37, 5, n).clip(10, 60)
city = rng.integers(0, 2, n)
leads = rng.random(n) < 0.2
sector_pay = np.array([-0.4, -0.2, -0.1, 0.0, 0.0, 0.1, 0.3, 0.6])[sector]
signal = (0.25 * np.log1p(years) * (1 + 0.3 * school) + sector_pay + 0.3 * leads
          + 0.02 * (hours - 37) + 0.15 * city * (sector > 4))
pay = signal + rng.normal(0, 0.35, n)
edges = np.quantile(pay, [0.15, 0.4, 0.7, 0.9])
band = np.digitize(pay, edges)
X = np.column_stack([years, hours, city, leads, np.eye(4)[school], np.eye(8)[sector]]).astype(np.float32)

# the best rule anyone could find: it knows the signal and the noise
from math import erf, sqrt
cdf = lambda z: np.vectorize(lambda v: 0.5 * (1 + erf(v / sqrt(2))))(z)
cum = np.column_stack([np.zeros(n)] + [cdf((e - signal) / 0.35) for e in edges] + [np.ones(n)])
best_rule = np.diff(cum, axis=1).argmax(1)

# ---------------------------------------------------------------- preparation
order = rng.permutation(n)
train_id, valid_id, test_id = order[:6000], order[6000:7500], order[7500:]
mu, sigma = X[train_id].mean(0), X[train_id].std(0)
X = (X - mu) / sigma


def as_set(ids):
    return TensorDataset(torch.from_numpy(X[ids]), torch.from_numpy(band[ids]))


train_loader = DataLoader(as_set(train_id), batch_size=48, shuffle=True)
valid_loader = DataLoader(as_set(valid_id), batch_size=500)
test_loader = DataLoader(as_set(test_id), batch_size=500)

counts = np.bincount(band[train_id], minlength=5)
weights = torch.tensor((counts.mean() / counts) ** 0.25, dtype=torch.float32)

# ---------------------------------------------------------------- model
model = nn.Sequential(
    nn.Linear(X.shape[1], 40), nn.LeakyReLU(0.1), nn.Dropout(0.1),
    nn.Linear(40, 20), nn.LeakyReLU(0.1),
    nn.Linear(20, 5),
)
criterion = nn.CrossEntropyLoss(weight=weights, label_smoothing=0.05)
optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=0.1, total_iters=12)


def evaluate(loader):
    model.eval()
    right = near = count = 0
    with torch.no_grad():
        for x, t in loader:
            p = model(x).argmax(1)
            right += (p == t).sum().item()
            near += ((p - t).abs() <= 1).sum().item()
            count += len(t)
    return right / count, near / count


for epoch in range(1, 13):
    model.train()
    running = []
    for x, t in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), t)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 2.0)
        optimizer.step()
        running.append(loss.item())
    scheduler.step()
    acc, near = evaluate(valid_loader)
    print(f"epoch {epoch:2d}  loss {np.mean(running):.4f}  valid exact {acc:.3f}  within one {near:.3f}")

acc, near = evaluate(test_loader)
print(f"majority {np.mean(band[test_id] == counts.argmax()):.3f}   best possible {np.mean(band[test_id] == best_rule[test_id]):.3f}")
print(f"test exact {acc:.4f}  within one band {near:.4f}")
