"""Two readings of one sensor, each with a loss of its own; how much each counts is learnt."""

import torch
from torch import nn

torch.manual_seed(8)
signal = torch.rand(600, 4)
level = signal.sin().sum(1, keepdim=True)
drift = 20 * signal[:, :1] * signal[:, 1:2]
body = nn.Sequential(nn.Linear(4, 32), nn.ReLU())
heads = nn.ModuleList([nn.Linear(32, 1), nn.Linear(32, 1)])
sigma = nn.Parameter(torch.ones(2))
optimizer = torch.optim.Adam([*body.parameters(), *heads.parameters(), sigma], lr=5e-3)

for epoch in range(10):
    for rows in torch.randperm(600).split(50):
        h = body(signal[rows])
        errors = [(head(h) - y[rows]).pow(2).mean() for head, y in zip(heads, (level, drift))]
        loss = errors[0] / (2 * sigma[0] ** 2) + errors[1] / (2 * sigma[1] ** 2)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
