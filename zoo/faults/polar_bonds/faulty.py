"""How many polar bonds does a little molecule have? Sums over neighbours, graphs padded to one size."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

ATOMS, KINDS = 14, 5
POLAR = {(0, 3), (3, 0), (1, 4), (4, 1)}


def molecule(rng):
    """A tree of atoms and up to 2 rings; 0..3 (or more) bonds between kinds that pull differently."""
    n = rng.integers(8, ATOMS + 1)
    adj = np.zeros((ATOMS, ATOMS), dtype=np.float32)
    for a in range(1, n):
        b = rng.integers(max(0, a - 3), a)
        adj[a, b] = adj[b, a] = 1
    for _ in range(rng.integers(0, 3)):
        a, b = rng.choice(n, 2, replace=False)
        adj[a, b] = adj[b, a] = 1
    kind = rng.integers(0, KINDS, ATOMS)
    polar = sum((kind[a], kind[b]) in POLAR for a, b in np.argwhere(np.triu(adj)))
    return adj, kind, np.arange(ATOMS) < n, min(polar, 3)


def batchify(rng, count):
    adj, kind, real, polar = zip(*(molecule(rng) for _ in range(count)))
    return [torch.as_tensor(np.stack(part)) for part in (adj, kind, real)] + [torch.tensor(polar)]


class NeighbourSum(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(2 * dim, 2 * dim), nn.ReLU(), nn.Linear(2 * dim, dim))
        self.norm = nn.LayerNorm(dim)

    def forward(self, h, adj):
        return self.norm(h + self.mlp(torch.cat([h, adj @ h], -1)))


class BondCounter(nn.Module):
    def __init__(self, dim=32, layers=2):
        super().__init__()
        self.atom = nn.Embedding(KINDS, dim)
        self.hops = [NeighbourSum(dim) for _ in range(layers)]
        self.read = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 4))

    def forward(self, adj, kind, real):
        h = self.atom(kind)
        for hop in self.hops:
            h = hop(h, adj)
        return self.read((h * real.unsqueeze(-1)).sum(1) / 5)


rng = np.random.default_rng(6)
torch.manual_seed(6)
train, test = batchify(rng, 1500), batchify(rng, 500)
net = BondCounter()
optim = torch.optim.AdamW(net.parameters(), lr=3e-3)
size = 50
for epoch in range(1, 11):
    order = torch.randperm(len(train[0]))
    running = 0.0
    for chunk in order.split(size):
        adj, kind, real, polar = (part[chunk] for part in train)
        loss = F.cross_entropy(net(adj, kind, real), polar)
        optim.zero_grad()
        loss.backward()
        optim.step()
        running += loss.item() * len(chunk)
    with torch.no_grad():
        right = (net(*test[:3]).argmax(1) == test[3]).float().mean()
    print(f"epoch {epoch:2d}  loss {running / len(order):.3f}  test accuracy {right:.3f}")
