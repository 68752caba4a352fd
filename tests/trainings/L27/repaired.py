"""An encoder is to know a signal again under noise and another loudness."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(6)
waves = torch.sin(torch.rand(480, 1) * torch.arange(32) + 6 * torch.rand(480, 1))
encoder = nn.Sequential(nn.Linear(32, 64), nn.ReLU(), nn.Linear(64, 16))
optimizer = torch.optim.Adam(encoder.parameters(), lr=1e-3)


def disturbed(signal):
    return signal * (0.5 + torch.rand(len(signal), 1)) + 0.3 * torch.randn_like(signal)


for epoch in range(6):
    for rows in torch.randperm(480).split(48):
        view = disturbed(waves[rows])
        one = F.normalize(encoder(view), dim=1)
        other = F.normalize(encoder(disturbed(waves[rows])), dim=1)
        loss = F.cross_entropy(one @ other.t() / 0.2, torch.arange(len(rows)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
