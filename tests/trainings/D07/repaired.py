"""Handwritten digits with a small network."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x, y = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(x))
inputs = torch.tensor(x[order] / 16, dtype=torch.float32)
labels = torch.tensor(y[order])
loader = DataLoader(TensorDataset(inputs[:1400], labels[:1400]), batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
loss_fn = nn.CrossEntropyLoss()

for epoch in range(12):
    for a, b in loader:
        optimizer.zero_grad()
        loss = loss_fn(model(a), b)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        print(epoch, loss_fn(model(inputs[1400:]), labels[1400:]).item())
