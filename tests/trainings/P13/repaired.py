"""A regression with a small network and a strong regularization."""

import torch
from sklearn.datasets import make_friedman1
from torch import nn

torch.manual_seed(12)
x, y = (torch.tensor(a, dtype=torch.float32) for a in make_friedman1(2000, noise=0.1, random_state=1))
x, y = (x - x.mean(0)) / x.std(0), (y - y.mean()) / y.std()
model = nn.Sequential(nn.Linear(10, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=5e-4)

for epoch in range(8):
    total = 0.0
    for rows in torch.randperm(len(x)).split(64):
        loss = nn.functional.mse_loss(model(x[rows])[:, 0], y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    print(f"epoch {epoch}: loss {total / len(x):.4f}")
