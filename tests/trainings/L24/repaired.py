"""Two views of each example are to be found by one another among all examples of the batch."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(4)
mix = torch.randn(8, 20) / 3
examples = torch.randn(512, 8) @ mix
net = nn.Sequential(nn.Linear(20, 48), nn.ReLU(), nn.Linear(48, 16))
optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
temperature = 0.1


def nt_xent(one, other):
    z = F.normalize(torch.cat([one, other]), dim=-1)
    similar = torch.mm(z, z.t()).div(temperature)
    similar.fill_diagonal_(-1e9)
    partner = torch.arange(len(z)).roll(len(one))
    return F.cross_entropy(similar, partner)


for epoch in range(6):
    for rows in torch.randperm(512).split(64):
        batch = examples[rows]
        one, other = (batch + 0.5 * torch.randn_like(batch) for _ in range(2))
        loss = nt_xent(net(one), net(other))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
