"""Digits with a small convolutional network."""

import torch
from sklearn.datasets import load_digits
from torch import nn

EPOCHS = 6

torch.manual_seed(14)
x, y = (torch.tensor(a) for a in load_digits(return_X_y=True))
x = ((x.float() - 4.9) / 6.0).reshape(-1, 1, 8, 8)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(72, 10)
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.03)
schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 1.0)

for epoch in range(EPOCHS):
    total = 0.0
    for rows in torch.randperm(len(x)).split(64):
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    schedule.step()
    print(f"epoch {epoch}: loss {total / len(x):.4f}")
