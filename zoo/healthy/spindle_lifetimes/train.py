"""When does a milling spindle fail?  Deep Cox regression with censoring.

Negative log partial likelihood within batches; concordance by hand; a linear
Cox model as the baseline.
"""
import os

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

SEED = int(os.environ.get("SEED", "0"))


def machines(n, rng):
    load = rng.beta(2, 2, n)
    speed = rng.uniform(2, 18, n)                       # thousand turns a minute
    temp = 45 + 15 * load + rng.normal(0, 5, n)
    greased = rng.integers(0, 2, n)
    lathe = rng.integers(0, 3, n)
    noise = rng.normal(0, 1, (n, 2))
    risk = (3.0 * (load - 0.5) * (1 - greased) + 0.02 * (speed - 10) ** 2
            + 0.9 * np.tanh((temp - 55) / 5) + 0.5 * (lathe == 2))
    life = 30 * (-np.log(rng.random(n)) * np.exp(-risk)) ** (1 / 1.5)     # Weibull, shape 1.5
    watched = rng.uniform(5, 45, n)
    x = np.column_stack([load, speed, temp, greased, lathe == 1, lathe == 2, noise]).astype(np.float32)
    return x, np.minimum(life, watched), life <= watched, risk


def cox_loss(score, time, event):
    """Breslow partial likelihood; sorted by falling time the risk set is a prefix."""
    order = torch.argsort(time, descending=True)
    score, event = score[order], event[order]
    log_risk = torch.logcumsumexp(score, 0)
    return -((score - log_risk) * event).sum() / event.sum().clamp(min=1)


def concordance(score, time, event):
    earlier = (time[:, None] < time[None]) & event[:, None].bool()
    higher = (score[:, None] > score[None]).float() + 0.5 * (score[:, None] == score[None]).float()
    return (higher * earlier).sum().item() / earlier.sum().item()


def fit(model, loader, valid, epochs, lr):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for x, t, e in loader:
            loss = cox_loss(model(x).squeeze(1), t, e)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        scheduler.step()
        if epoch % 5 == 4:
            model.eval()
            with torch.no_grad():
                c = concordance(model(valid[0]).squeeze(1), *valid[1:])
            print(f"  epoch {epoch + 1:2d}  loss {total / len(loader):.4f}  valid concordance {c:.4f}")
    return model.eval()


def main():
    torch.manual_seed(SEED)
    x, time, event, risk = machines(6000, np.random.default_rng(SEED))
    print(f"{event.mean():.2f} of the spindles failed while watched")
    mean, std = x[:4000].mean(0), x[:4000].std(0)
    X = torch.from_numpy((x - mean) / std)
    T = torch.tensor(time, dtype=torch.float32)
    E = torch.tensor(event, dtype=torch.float32)
    loader = DataLoader(TensorDataset(X[:4000], T[:4000], E[:4000]), batch_size=128, shuffle=True, drop_last=True)
    valid = (X[4000:5000], T[4000:5000], E[4000:5000])
    test_x, test_t, test_e = X[5000:], T[5000:], E[5000:]

    print("linear Cox")
    linear = fit(nn.Linear(8, 1, bias=False), loader, valid, epochs=15, lr=0.02)
    print("deep Cox")
    deep = nn.Sequential(nn.Linear(8, 32), nn.SELU(), nn.Dropout(0.05),
                         nn.Linear(32, 32), nn.SELU(), nn.Linear(32, 1, bias=False))
    fit(deep, loader, valid, epochs=40, lr=3e-3)
    with torch.no_grad():
        c_lin = concordance(linear(test_x).squeeze(1), test_t, test_e)
        c_deep = concordance(deep(test_x).squeeze(1), test_t, test_e)
    c_best = concordance(torch.tensor(risk[5000:]), test_t, test_e)
    print(f"test concordance: linear {c_lin:.4f}  deep {c_deep:.4f}  true risk {c_best:.4f}")


if __name__ == "__main__":
    main()
