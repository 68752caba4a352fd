"""Is the tumour benign? Two hidden layers over thirty measurements."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
table = load_breast_cancer()
measured = torch.tensor(table.data, dtype=torch.float32)
measured = (measured - measured.mean(0)) / measured.std(0)
benign = torch.tensor(table.target, dtype=torch.float32)


class Tumours(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(30, 64)
        self.second = nn.Linear(64, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = F.relu(self.first(x))
        h = F.relu(self.second(h))
        return self.out(h).squeeze(1)


model = Tumours()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for _ in range(12):
    for x, y in DataLoader(TensorDataset(measured, benign), batch_size=32, shuffle=True):
        loss = F.binary_cross_entropy_with_logits(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("loss", loss.item())
