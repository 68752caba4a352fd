"""Price of second-hand tractors: a small search over settings, then one refit and one look at the test part."""
import itertools
import os

import numpy as np
import torch
from sklearn.linear_model import LinearRegression
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
GRID = dict(width=[16, 64], weight_decay=[1e-4, 1e-2], lr=[3e-3, 1e-2])
EPOCHS = 25


def tractors(n, rng):
    age = rng.gamma(3.0, 4.0, n)
    hours = np.clip(age * rng.normal(450, 120, n), 50, None)
    power = rng.uniform(40, 300, n)
    four_wheel = rng.integers(0, 2, n)
    cab = rng.integers(0, 2, n)
    maker = rng.integers(0, 6, n)
    worth = np.array([0.25, 0.0, -0.1, 0.1, -0.3, 0.05])[maker]
    log_price = (8.2 + 0.8 * np.log(power) - 0.07 * age - 0.00002 * hours * (age > 8)
                 + 0.2 * four_wheel * (power > 90) + 0.08 * cab + worth + 0.15 * np.sin(age / 2) * (maker == 2)
                 + rng.normal(0, 0.12, n))
    x = np.concatenate([np.stack([age, hours, power, four_wheel, cab], 1), np.eye(6)[maker]], 1)
    return x.astype(np.float32), log_price.astype(np.float32)


class Standard:
    """Column means and deviations of what it was made from."""

    def __init__(self, a):
        self.mean, self.std = a.mean(0), a.std(0)

    def __call__(self, a):
        return torch.from_numpy((a - self.mean) / self.std)

    def back(self, t):
        return t.numpy() * self.std + self.mean


def train(x, y, width, weight_decay, lr, seed):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(x.shape[1], width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                          nn.Linear(width, 1))
    opt = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=weight_decay)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
    model.train()
    for _ in range(EPOCHS):
        for idx in torch.randperm(len(x)).split(64):
            opt.zero_grad()
            loss = nn.functional.mse_loss(model(x[idx]).squeeze(1), y[idx])
            loss.backward()
            opt.step()
        sched.step()
    return model.eval()


@torch.no_grad()
def rmse(model, x, y_raw, scale_y):
    return float(np.sqrt(np.mean((scale_y.back(model(x).squeeze(1)) - y_raw) ** 2)))


def main():
    rng = np.random.default_rng(SEED)
    x, y = tractors(4000, rng)
    parts = dict(train=slice(0, 2400), valid=slice(2400, 3200), both=slice(0, 3200), test=slice(3200, 4000))

    sx, sy = Standard(x[parts["train"]]), Standard(y[parts["train"]])
    results = []
    for values in itertools.product(*GRID.values()):
        settings = dict(zip(GRID, values))
        model = train(sx(x[parts["train"]]), sy(y[parts["train"]]), **settings, seed=SEED)
        score = rmse(model, sx(x[parts["valid"]]), y[parts["valid"]], sy)
        results.append((score, settings))
        print(f"valid rmse {score:.4f}  {settings}")
    best_score, best = min(results, key=lambda r: r[0])
    print("chosen:", best)

    sx, sy = Standard(x[parts["both"]]), Standard(y[parts["both"]])
    final = train(sx(x[parts["both"]]), sy(y[parts["both"]]), **best, seed=SEED + 1)
    straight = LinearRegression().fit(x[parts["both"]], y[parts["both"]])
    linear = np.sqrt(np.mean((straight.predict(x[parts["test"]]) - y[parts["test"]]) ** 2))
    print(f"test rmse of log price: straight line {linear:.4f}, net "
          f"{rmse(final, sx(x[parts['test']]), y[parts['test']], sy):.4f} (noise alone 0.12)")


if __name__ == "__main__":
    main()
