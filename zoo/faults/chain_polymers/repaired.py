"""Softening of branched polymers from their graphs of monomers."""
import random
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

KINDS = 5
STIFFNESS = [0.2, 0.9, -0.5, 0.4, -1.0]


@dataclass
class Polymer:
    kinds: list[int]
    bonds: list[tuple[int, int]] = field(default_factory=list)
    softening: float = 0.0


def grow() -> Polymer:
    """A random tree; stiff neighbours raise the softening point, branching lowers it."""
    n = random.randint(6, 14)
    p = Polymer([random.randrange(KINDS) for _ in range(n)])
    for node in range(1, n):
        p.bonds.append((random.randint(max(0, node - 3), node - 1), node))
    degree = [0] * n
    along = 0.0
    for a, b in p.bonds:
        degree[a] += 1
        degree[b] += 1
        along += STIFFNESS[p.kinds[a]] * STIFFNESS[p.kinds[b]]
    stiff = sum(STIFFNESS[k] for k in p.kinds) / n
    branching = sum(d > 2 for d in degree) / n
    p.softening = 90 + 25 * stiff + 30 * along / n - 40 * branching + random.gauss(0, 1)
    return p


def collate(polymers: list[Polymer], mean: float, std: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    kinds, owner, edges = [], [], []
    for i, p in enumerate(polymers):
        edges += [(a + len(kinds), b + len(kinds)) for a, b in p.bonds]
        kinds += p.kinds
        owner += [i] * len(p.kinds)
    edge = torch.tensor(edges).T
    edge = torch.cat([edge, edge.flip(0)], 1)
    y = torch.tensor([(p.softening - mean) / std for p in polymers])
    return torch.tensor(kinds), edge, torch.tensor(owner), y.float()


class Messages(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.pair = nn.Sequential(nn.Linear(2 * width, width), nn.ReLU())
        self.keep = nn.Linear(width, width)

    def forward(self, h: Tensor, edge: Tensor) -> Tensor:
        said = self.pair(torch.cat([h[edge[0]], h[edge[1]]], 1))
        heard = torch.zeros_like(h).index_add(0, edge[1], said)
        return torch.relu(self.keep(h) + heard)


class PolymerNet(nn.Module):
    def __init__(self, width: int = 48):
        super().__init__()
        self.embed = nn.Embedding(KINDS, width)
        self.rounds = nn.ModuleList(Messages(width) for _ in range(2))
        self.readout = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def forward(self, kinds: Tensor, edge: Tensor, owner: Tensor) -> Tensor:
        h = self.embed(kinds)
        for layer in self.rounds:
            h = layer(h, edge)
        count = owner.bincount().unsqueeze(1)
        pooled = torch.zeros(len(count), h.shape[1]).index_add(0, owner, h) / count
        return self.readout(pooled).squeeze(1)


def main() -> None:
    random.seed(19)
    torch.manual_seed(19)
    train, test = [grow() for _ in range(1500)], [grow() for _ in range(300)]
    values = torch.tensor([p.softening for p in train])
    mean, std = values.mean().item(), values.std().item()
    net = PolymerNet()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    slower = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.85)
    criterion = nn.MSELoss()
    kinds_t, edge_t, owner_t, _ = collate(test, mean, std)
    truth = torch.tensor([p.softening for p in test])
    for epoch in range(1, 13):
        random.shuffle(train)
        for start in range(0, len(train), 30):
            kinds, edge, owner, y = collate(train[start : start + 30], mean, std)
            opt.zero_grad()
            loss = criterion(net(kinds, edge, owner), y)
            loss.backward()
            opt.step()
        slower.step()
        if epoch % 3 == 0:
            with torch.no_grad():
                told = net(kinds_t, edge_t, owner_t) * std + mean
            print(f"epoch {epoch} loss {loss.item():.3f} error {(told - truth).abs().mean():.2f} degrees")


main()
