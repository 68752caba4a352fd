"""Solubility of bead molecules: message passing on many small graphs that are laid side by side as one."""
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

KINDS = 4
POLAR = [1.0, -0.6, 0.3, -0.1]


class Molecule(NamedTuple):
    kinds: Tensor  # n
    bonds: Tensor  # 2 x m, both directions
    target: float


class Pile(NamedTuple):
    kinds: Tensor
    bonds: Tensor
    owner: Tensor  # which molecule an atom belongs to
    target: Tensor


def grow(gen: torch.Generator) -> Molecule:
    """A random tree of beads, sometimes closed to a ring."""
    n = int(torch.randint(5, 15, (), generator=gen))
    kinds = torch.randint(KINDS, (n,), generator=gen)
    edges = [(i, int(torch.randint(max(0, i - 3), i, (), generator=gen))) for i in range(1, n)]
    if torch.rand((), generator=gen) < 0.5:
        edges.append((n - 1, 0))
    # polar beads help unless they are bonded to another of their kind; branching hinders
    value = sum(POLAR[k] for k in kinds.tolist())
    degree = [0] * n
    for a, b in edges:
        degree[a] += 1
        degree[b] += 1
        if kinds[a] == kinds[b]:
            value -= 1.2 * POLAR[kinds[a]]
    value -= 0.5 * sum(d >= 3 for d in degree)
    value += 0.1 * float(torch.randn((), generator=gen))
    bonds = torch.tensor(edges).T
    return Molecule(kinds, torch.cat([bonds, bonds.flip(0)], dim=1), value)


def side_by_side(molecules: list[Molecule]) -> Pile:
    sizes = torch.tensor([len(m.kinds) for m in molecules])
    first = sizes.cumsum(0) - sizes
    return Pile(
        torch.cat([m.kinds for m in molecules]),
        torch.cat([m.bonds + f for m, f in zip(molecules, first)], dim=1),
        torch.arange(len(molecules)).repeat_interleave(sizes),
        torch.tensor([m.target for m in molecules]),
    )


class Exchange(nn.Module):
    def __init__(self, dim: int) -> None:
        super().__init__()
        self.message = nn.Linear(2 * dim, dim)
        self.update = nn.Sequential(nn.Linear(2 * dim, dim), nn.ReLU(), nn.Linear(dim, dim))
        self.norm = nn.LayerNorm(dim)

    def forward(self, h: Tensor, bonds: Tensor) -> Tensor:
        source, sink = bonds
        sent = torch.relu(self.message(torch.cat([h[source], h[sink]], dim=1)))
        received = torch.zeros_like(h).index_add(0, sink, sent)
        return self.norm(h + self.update(torch.cat([h, received], dim=1)))


class Solubility(nn.Module):
    def __init__(self, dim: int = 40, rounds: int = 2) -> None:
        super().__init__()
        self.embed = nn.Embedding(KINDS, dim)
        self.rounds = nn.ModuleList(Exchange(dim) for _ in range(rounds))
        self.per_atom = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, pile: Pile) -> Tensor:
        h = self.embed(pile.kinds)
        for exchange in self.rounds:
            h = exchange(h, pile.bonds)
        return torch.zeros_like(pile.target).index_add(0, pile.owner, self.per_atom(h).squeeze(1))


gen = torch.Generator().manual_seed(46)
torch.manual_seed(46)
molecules = [grow(gen) for _ in range(1500)]
known, new = molecules[:1200], molecules[1200:]
targets = torch.tensor([m.target for m in known])
mean, std = targets.mean().item(), targets.std().item()
loader = DataLoader(known, batch_size=48, shuffle=True, collate_fn=side_by_side)
model = Solubility()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=1e-4)
epochs = 22
schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)

for epoch in range(1, epochs + 1):
    squared = 0.0
    for pile in loader:
        error = model(pile) - (pile.target - mean) / std
        loss = error.square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        squared += loss.item() * len(error)
    schedule.step()
    if epoch % 4 == 2:
        with torch.no_grad():
            pile = side_by_side(new)
            off = (model(pile) * std + mean - pile.target).abs().mean()
        print(f"epoch {epoch} train mse {squared / len(known):.4f} test mean error {off:.3f} (spread {std:.2f})")
