# Surveyed caves as graphs (chambers, passages): which of three ways did the water take to form them?
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader


@dataclass
class Cave:
    x: torch.Tensor  # chambers x features
    edges: torch.Tensor  # 2 x passages, both directions
    kind: int


def survey(rng: np.random.Generator) -> Cave:
    n = int(rng.integers(8, 15))
    kind = int(rng.integers(3))
    pairs = []
    if kind == 0:  # branchwork: every chamber drains into an earlier one
        pairs = [(i, int(rng.integers(max(0, i - 3), i))) for i in range(1, n)]
    elif kind == 1:  # ring
        pairs = [(i, (i + 1) % n) for i in range(n)]
    else:  # few big halls with many side chambers
        pairs = [(i, int(rng.integers(0, 2))) for i in range(2, n)] + [(0, 1)]
    e = np.array(pairs + [(b, a) for a, b in pairs]).T
    perm = rng.permutation(n)
    x = rng.normal(0, 1, (n, 3))
    x[:, 0] = 1.0
    return Cave(torch.tensor(x, dtype=torch.float32), torch.tensor(perm[e]), kind)


def collate(caves):
    """Stack a list of caves into one big disconnected graph."""
    x = torch.cat([c.x for c in caves])
    edges = torch.cat([c.edges for c in caves], dim=1)
    batch = torch.cat([torch.full((len(c.x),), i) for i, c in enumerate(caves)])
    kinds = torch.tensor([c.kind for c in caves])
    return x, edges, batch, kinds


class GINLayer(nn.Module):
    def __init__(self, cin, cout):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(1))
        self.mlp = nn.Sequential(nn.Linear(cin, cout), nn.BatchNorm1d(cout), nn.ReLU(), nn.Linear(cout, cout), nn.ReLU())

    def forward(self, x, edges):
        src, dst = edges
        agg = torch.zeros_like(x).index_add(0, dst, x[src])
        return self.mlp((1 + self.eps) * x + agg)


class CaveNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.layers = nn.ModuleList([GINLayer(3, hidden), GINLayer(hidden, hidden), GINLayer(hidden, hidden)])
        self.out = nn.Linear(hidden, 3)

    def forward(self, x, edges, batch, n_graphs):
        for layer in self.layers:
            x = layer(x, edges)
        pooled = torch.zeros(n_graphs, x.size(1)).index_add(0, batch, x)
        count = torch.bincount(batch, minlength=n_graphs).unsqueeze(1)
        return self.out(pooled / count)


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    good, seen, total = 0, 0, 0.0
    with torch.set_grad_enabled(optimizer is not None):
        for x, edges, batch, kinds in loader:
            logits = model(x, edges, batch, len(kinds))
            loss = nn.functional.cross_entropy(logits, kinds)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            total += loss.item() * len(kinds)
            good += int((logits.argmax(1) == kinds).sum())
            seen += len(kinds)
    return total / seen, good / seen


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    train = DataLoader([survey(rng) for _ in range(1200)], 32, shuffle=True, collate_fn=collate)
    test = DataLoader([survey(rng) for _ in range(400)], 50, collate_fn=collate)
    model = CaveNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 6, 0.5)
    for epoch in range(10):
        loss, acc = run_epoch(model, train, optimizer)
        scheduler.step()
        print(f"epoch {epoch} train loss {loss:.4f} train acc {acc:.3f}")
    print("test accuracy %.4f" % run_epoch(model, test)[1])
