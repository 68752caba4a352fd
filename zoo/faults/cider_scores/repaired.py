# Additive model of a jury's cider scores: one small curve per laboratory value.
import numpy as np
import torch
from torch import nn

torch.manual_seed(17)
rng = np.random.default_rng(17)

NAMES = ["sugar", "acid", "tannin", "alcohol", "co2", "so2"]


def tastings(n=1600):
    sugar = rng.gamma(3.0, 9.0, n)
    acid = rng.normal(5.2, 1.1, n)
    tannin = rng.gamma(4.0, 0.4, n)
    alcohol = rng.normal(5.5, 0.9, n)
    co2 = rng.uniform(0.5, 5.0, n)
    so2 = rng.gamma(2.0, 35.0, n)
    score = (62 - 0.012 * (sugar - 30) ** 2 - 4.0 * (acid - 5.4) ** 2 + 9 * np.sin(1.6 * tannin)
             - 3.0 * np.abs(alcohol - 5.6) + 5 * np.cos(1.5 * co2) - 0.05 * np.maximum(so2 - 80, 0)
             + rng.normal(0, 2.5, n))
    return np.stack([sugar, acid, tannin, alcohol, co2, so2], 1), score


def prepare(table, score, share=0.8):
    order = rng.permutation(len(table))
    cut = int(share * len(table))
    tr, te = order[:cut], order[cut:]
    x = (table - table[tr].mean(0)) / table[tr].std(0)
    y = (score - score[tr].mean()) / score[tr].std()
    x, y = torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    return (x[tr], y[tr]), (x[te], y[te])


def additive_model(n_columns, width=24):
    curves = nn.ModuleList(
        nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
        for _ in range(n_columns)
    )
    mix = nn.Linear(n_columns, 1)
    latest = {}

    def predict(x):
        parts = torch.cat([c(x[:, j:j + 1]) for j, c in enumerate(curves)], dim=1)
        latest["parts"] = parts.detach()
        return mix(parts).squeeze(1)

    def contributions():
        return (latest["parts"] * mix.weight.detach()).std(dim=0)

    return predict, contributions, list(curves.parameters()) + list(mix.parameters())


def make_epoch(predict, params, data, batch_size=40, lr=0.003):
    x, y = data
    opt = torch.optim.Adam(params, lr=lr)

    def epoch():
        total = 0.0
        for idx in torch.randperm(len(x)).split(batch_size):
            loss = nn.functional.mse_loss(predict(x[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        return total / len(x)

    return epoch


train, test = prepare(*tastings())
predict, contributions, params = additive_model(len(NAMES))
epoch = make_epoch(predict, params, train)
for e in range(40):
    value = epoch()
    if e % 8 == 7:
        print(f"epoch {e + 1}: mse {value:.4f}")

with torch.no_grad():
    residual = test[1] - predict(test[0])
    r2 = 1 - (residual ** 2).mean().item() / test[1].var(unbiased=False).item()
    for name, c in zip(NAMES, contributions()):
        print(f"  {name:8s} {c.item():.3f}")
print(f"R2 of the test tastings: {r2:.4f}")
