"""Trees of parts of two kinds: how many joints are there between unlike ones?"""

import random

import torch
import torch.nn.functional as F
from torch import nn

random.seed(3)
torch.manual_seed(3)


def make_tree():
    n = random.randint(5, 9)
    kinds = [random.randrange(2) for _ in range(n)]
    joints = [(random.randrange(i), i) for i in range(1, n)]
    edges = torch.tensor(joints + [(b, a) for a, b in joints]).t()
    return F.one_hot(torch.tensor(kinds), 2).float(), edges, float(sum(kinds[a] != kinds[b] for a, b in joints))


def collate(trees):
    edges, sizes, offset = [], [], 0
    for x, e, _ in trees:
        edges.append(e)
        sizes.append(len(x))
        offset += len(x)
    of_tree = torch.repeat_interleave(torch.arange(len(trees)), torch.tensor(sizes))
    x = torch.cat([x for x, _, _ in trees])
    edges = torch.cat(edges, dim=1)
    return x, edges, of_tree, torch.tensor([y for _, _, y in trees])


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.take = nn.Linear(2, 24)
        self.mix = nn.Linear(26, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x, edges, of_tree, trees):
        sent = torch.relu(self.take(x))[edges[0]]
        got = torch.zeros(len(x), 24).index_add(0, edges[1], sent)
        h = torch.relu(self.mix(torch.cat([x, got], dim=1)))
        return self.out(torch.zeros(trees, 24).index_add(0, of_tree, h)).squeeze(1)


trees = [make_tree() for _ in range(640)]
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(6):
    random.shuffle(trees)
    for start in range(0, len(trees), 32):
        x, edges, of_tree, joints = collate(trees[start : start + 32])
        loss = F.mse_loss(net(x, edges, of_tree, len(joints)), joints)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
