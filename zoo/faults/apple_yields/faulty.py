# Yield of an orchard row. No DataLoader, batches are cut by hand.
import os
import random
import numpy as np
import torch
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

N, D = 1500, 8
rain = np.random.gamma(4, 20, N)
sun = np.random.uniform(3, 11, N)
age = np.random.uniform(1, 25, N)
spacing = np.random.uniform(2, 5, N)
soil = np.random.normal(6.4, 0.5, N)
nitrogen = np.random.uniform(0, 120, N)
bees = np.random.poisson(6, N)
slope = np.random.uniform(0, 20, N)
kilos = (25 * np.exp(-((age - 12) / 7) ** 2) + 6 * np.sin(sun / 2.2) + 0.06 * np.minimum(rain, 90)
         - 9 * (soil - 6.4) ** 2 + 0.05 * nitrogen * (bees > 4) - 0.2 * slope + np.random.normal(0, 1.5, N))

X = np.stack([rain, sun, age, spacing, soil, nitrogen, bees, slope], 1)
split = int(0.75 * N)
mu, sd = X[:split].mean(0), X[:split].std(0)
X = torch.tensor((X - mu) / sd, dtype=torch.float32)
y = torch.tensor(kilos, dtype=torch.float32)
ymu, ysd = y[:split].mean(), y[:split].std()
y = (y - ymu) / ysd
Xtr, ytr, Xte, yte = X[:split], y[:split], X[split:], y[split:]


def init_params(sizes):
    params = []
    for i, o in zip(sizes[:-1], sizes[1:]):
        w = (torch.randn(i, o) * (2.0 / i) ** 0.5).requires_grad_()
        b = torch.zeros(o, requires_grad=True)
        params += [w, b]
    return params


def forward(params, x):
    h = x
    layers = len(params) // 2
    for k in range(layers):
        h = h @ params[2 * k] + params[2 * k + 1]
        if k < layers - 1:
            h = torch.relu(h)
    return h


params = init_params([D, 64, 64, 1])
optimizer = torch.optim.SGD(params, lr=0.02, momentum=0.9, weight_decay=1e-4)
batch = 50

for epoch in range(80):
    perm = torch.randperm(split)
    losses = []
    for start in range(0, split, batch):
        rows = perm[start:start + batch]
        pred = forward(params, Xtr[rows])
        loss = F.mse_loss(pred, ytr[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(params, 5.0)
        optimizer.step()
        losses.append(loss.item())
    if (epoch + 1) % 10 == 0:
        with torch.no_grad():
            test = F.mse_loss(forward(params, Xte), yte).item()
        print(f"epoch {epoch + 1}  train mse {np.mean(losses):.4f}  test mse {test:.4f}")

with torch.no_grad():
    err = (forward(params, Xte) - yte) * ysd
print("test rmse in kilos: %.4f" % err.pow(2).mean().sqrt().item())
