"""Metric learning on iris: flowers of one species are pulled together, others pushed apart."""

import torch
from sklearn import datasets, preprocessing

torch.manual_seed(9)
measures, species = datasets.load_iris(return_X_y=True)
measures = torch.as_tensor(preprocessing.scale(measures), dtype=torch.float32)
species = torch.as_tensor(species)


def distances(points):
    squared = (points[:, None] - points[None]).pow(2).sum(-1)
    return torch.sqrt(squared)


def contrastive(points, kinds, margin=2.0):
    gaps = distances(points)
    same = (kinds[:, None] == kinds[None]).float()
    others = 1 - torch.eye(len(kinds))
    pull = same * gaps.pow(2)
    push = (1 - same) * (margin - gaps).clamp(min=0).pow(2)
    return ((pull + push) * others).sum() / others.sum()


embed = torch.nn.Sequential(torch.nn.Linear(4, 32), torch.nn.ReLU(), torch.nn.Linear(32, 2))
optimizer = torch.optim.Adam(embed.parameters(), lr=5e-3)
for step in range(100):
    rows = torch.randint(0, 150, (48,))
    optimizer.zero_grad()
    loss = contrastive(embed(measures[rows]), species[rows])
    loss.backward()
    optimizer.step()
    if step % 20 == 0 or step == 99:
        print(step, loss.item())
