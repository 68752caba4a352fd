"""How ill will the patient be in a year? A regression on ten measurements."""

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from torch import nn

torch.manual_seed(4)
records = load_diabetes()
columns = [*records.feature_names, "target"]
table = np.column_stack([records.data, records.target])
table = table[np.random.default_rng(0).permutation(len(table))]
table = torch.tensor((table - table.mean(0)) / table.std(0), dtype=torch.float32)
target = table[:, columns.index("target")]
inputs = table[:, [columns.index(name) for name in records.feature_names]]

model = nn.Sequential(nn.Linear(inputs.shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(12):
    for rows in torch.randperm(350).split(25):
        loss = nn.functional.mse_loss(model(inputs[rows]).squeeze(1), target[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        error = nn.functional.mse_loss(model(inputs[350:]).squeeze(1), target[350:])
    print(epoch, loss.item(), error.item())
