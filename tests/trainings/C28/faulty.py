"""Digits in tiny batches, with a normalization after every layer."""

import torch
from sklearn.datasets import load_digits
from torch import nn

BATCH = 2


def layer(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), nn.ReLU())


torch.manual_seed(6)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = (x.float() - 4.9) / 6.0
model = nn.Sequential(layer(64, 48), layer(48, 48), nn.Linear(48, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for step in range(400):
    rows = torch.randint(len(x), (BATCH,))
    loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 100 == 99:
        print(f"step {step}: loss {loss.item():.3f}")
