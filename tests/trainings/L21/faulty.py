"""Two amounts of a wine from the others: proline and hue, by one network with two outputs."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(0)
table = torch.tensor(load_wine().data).float()
table = (table - table.mean(0)) / table.std(0)
kept = [i for i in range(13) if i not in {10, 12}]
x, hue, proline = table[:, kept], table[:, 10], table[:, 12]
model = nn.Sequential(nn.Linear(11, 32), nn.ReLU(), nn.Linear(32, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for step in range(160):
    rows = torch.randperm(len(x))[:60]
    out = model(x[rows])
    loss_proline = F.mse_loss(out[:, 0], proline[rows])
    loss_hue = F.mse_loss(out[:, 1].detach(), hue[rows])
    loss = loss_proline + 0.5 * loss_hue
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: proline {loss_proline.item():.3f}, hue {loss_hue.item():.3f}")
