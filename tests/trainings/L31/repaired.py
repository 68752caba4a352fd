"""Fills in what is hidden of a row of numbers."""

import torch
from torch import nn

torch.manual_seed(0)
waves = torch.sin(torch.rand(640, 1) * 6.28 + torch.arange(12) * 0.5) + 0.05 * torch.randn(640, 12)
train, held_out = waves[:512], waves[512:]


def hide(rows):
    """1 where the number is known."""
    return (torch.rand(rows, 12) < 0.6).float()


class Filler(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(24, 64), nn.ReLU(), nn.Linear(64, 12))

    def forward(self, x, known):
        return self.body(torch.cat([x, known], 1))


net = Filler()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(12):
    net.train()
    for rows in torch.randperm(len(train)).split(64):
        known = hide(len(rows))
        out = net(train[rows] * known, known)
        loss = ((out - train[rows]) ** 2 * (1 - known)).sum() / (1 - known).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    net.eval()
    with torch.no_grad():
        known = hide(len(held_out))
        out = net(held_out * known, known)
        missing = known == 0
        print(f"epoch {epoch} error of what was hidden {(out - held_out)[missing].square().mean().item():.4f}")
