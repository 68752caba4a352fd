import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(0)
torch.manual_seed(0)
assays = rng.normal(size=(1200, 12)).astype("float32")
toxic = (assays @ rng.normal(size=(12, 4)) > 0).astype("float32")
toxic[rng.random(toxic.shape) < 0.6] = np.nan

x = torch.tensor(assays)
measured = torch.tensor(toxic)
labels = torch.nan_to_num(measured)
known = torch.ones_like(labels, dtype=torch.bool)

model = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loss_fn = nn.BCEWithLogitsLoss()
for epoch in range(12):
    for rows in torch.randperm(1200).split(60):
        here = known[rows]
        loss = loss_fn(model(x[rows])[here], labels[rows][here])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(epoch, loss.item())
