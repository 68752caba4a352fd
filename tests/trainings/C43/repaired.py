"""Ratings of items by users: numbers of both and an age in one table, scaled, then looked up."""

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
rng = np.random.default_rng(0)
USERS, ITEMS, RATINGS = 60, 40, 4000
taste, kind = rng.normal(size=(USERS, 3)), rng.normal(size=(ITEMS, 3))
users, items = rng.integers(0, USERS, RATINGS), rng.integers(0, ITEMS, RATINGS)
ages = rng.integers(18, 80, USERS)[users]
ratings = torch.tensor((taste[users] * kind[items]).sum(1), dtype=torch.float32)
table = np.stack([users, items, ages], axis=1).astype(np.float32)
table[:, 2] = (table[:, 2] - table[:, 2].min()) / (table[:, 2].max() - table[:, 2].min())
rows = torch.tensor(table)


class Ratings(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.user, self.item = nn.Embedding(USERS, 16), nn.Embedding(ITEMS, 16)
        self.head = nn.Sequential(nn.Linear(33, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        u = self.user(x[:, 0].long())
        v = self.item(x[:, 1].long())
        return self.head(torch.cat([u, v, x[:, 2:]], dim=1)).squeeze(1)


model = Ratings()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(8):
    for x, y in DataLoader(TensorDataset(rows, ratings), batch_size=64, shuffle=True):
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
