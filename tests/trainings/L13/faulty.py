"""Two heads on one body: the cultivar of a wine, and its proline."""

import torch
from sklearn.datasets import load_wine
from torch import nn

AMOUNT = 1000.0
torch.manual_seed(0)
data = load_wine()
table = torch.tensor(data.data).float()
x = ((table - table.mean(0)) / table.std(0))[:, :12]
cultivar = torch.tensor(data.target)
proline = (table[:, 12] - table[:, 12].mean()) / table[:, 12].std()

body = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU())
kind, amount = nn.Linear(32, 3), nn.Linear(32, 1)
model = nn.ModuleDict({"body": body, "kind": kind, "amount": amount})
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(160):
    rows = torch.randperm(len(x))[:64]
    h = body(x[rows])
    loss_kind = nn.functional.cross_entropy(kind(h), cultivar[rows])
    loss_amount = nn.functional.mse_loss(amount(h).squeeze(1), proline[rows])
    loss = loss_kind + AMOUNT * loss_amount
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step}: kind {loss_kind.item():.3f}, amount {loss_amount.item():.3f}")
