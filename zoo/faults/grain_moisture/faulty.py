import numpy as np
import torch
from sklearn.datasets import make_friedman1
from torch import nn, optim

torch.manual_seed(13)


def make_data(n, seed):
    readings, moisture = make_friedman1(n_samples=n, n_features=8, noise=0.8, random_state=seed)
    return readings.astype(np.float32), moisture.astype(np.float32)


def pseudo_huber(guess, truth, delta=1.0):
    return (delta**2 * (torch.sqrt(1 + ((guess - truth) / delta) ** 2) - 1)).mean()


def batches(x, y, size):
    order = np.random.default_rng(int(torch.randint(10**6, ()))).permutation(len(x))
    for part in np.array_split(order, len(order) // size):
        yield torch.from_numpy(x[part]), torch.from_numpy(y[part])


x, y = make_data(900, 1)
x_new, y_new = make_data(300, 2)
lo, hi = x.min(0), x.max(0)
x, x_new = 2 * (x - lo) / (hi - lo) - 1, 2 * (x_new - lo) / (hi - lo) - 1
mean, std = y.mean(), y.std()

model = nn.Sequential(nn.Linear(8, 48), nn.GELU(), nn.Linear(48, 48), nn.GELU(), nn.Linear(48, 1))
opt = optim.AdamW(model.parameters(), lr=4e-3, weight_decay=1e-3)


def r_squared():
    model.eval()
    with torch.no_grad():
        guess = model(torch.from_numpy(x_new)).squeeze(1).numpy() * std + mean
    model.train()
    return 1 - ((y_new - guess) ** 2).mean() / y_new.var()


for epoch in range(1, 21):
    total = 0.0
    for xb, yb in batches(x, y, 45):
        guess = model(xb)
        loss = pseudo_huber(guess, (yb - mean) / std)
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
    if epoch % 5 == 0:
        print(f"epoch {epoch}  loss {total / len(x):.4f}  R2 on new grain {r_squared():.3f}")
