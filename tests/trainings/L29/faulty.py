"""Parts of four machines, told apart by how near they come to the parts of another machine."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(3)
centers = torch.randn(4, 12)
machine = torch.arange(400) % 4
parts = centers[machine] + 0.9 * torch.randn(400, 12)
net = nn.Sequential(nn.Linear(12, 32), nn.Tanh(), nn.Linear(32, 6))
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)

for epoch in range(8):
    for rows in torch.randperm(400).split(50):
        z = F.normalize(net(parts[rows]), dim=1)
        far = torch.cdist(z, z)
        other = machine[rows][:, None] != machine[rows][None]
        own = torch.where(other, torch.zeros_like(far), far).amax(1)
        nearest = torch.mul(other, far).amin(dim=1)
        loss = F.relu(own - nearest + 0.4).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
