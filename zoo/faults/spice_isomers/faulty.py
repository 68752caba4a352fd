"""Isomers of spice compounds: all have the same formula, does the arrangement of the bonds make them pungent?
Message passing network written by hand (no torch_geometric on the course machines)."""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader

ATOMS = [0] * 5 + [1] * 3 + [2] * 3          # carbon, oxygen, nitrogen
KINDS = 3


def make_isomer():
    atoms = ATOMS[:]
    random.shuffle(atoms)
    n = len(atoms)
    bonds = {(random.randrange(i), i) for i in range(1, n)}
    for _ in range(2):
        a, b = sorted(random.sample(range(n), 2))
        bonds.add((a, b))
    co = sum({atoms[a], atoms[b]} == {0, 1} for a, b in bonds)
    edges = torch.tensor([[a, b] for a, b in bonds] + [[b, a] for a, b in bonds]).t()
    return F.one_hot(torch.tensor(atoms), KINDS).float(), edges, int(co >= 4)


def collate(items):
    xs, edge_list, graph_ids, ys = [], [], [], []
    for g, (x, edges, y) in enumerate(items):
        xs.append(x)
        edge_list.append(edges)
        graph_ids.append(torch.full((len(x),), g))
        ys.append(y)
    return torch.cat(xs), torch.cat(edge_list, dim=1), torch.cat(graph_ids), torch.tensor(ys)


class GINLayer(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.eps = nn.Parameter(torch.zeros(1))
        self.mlp = nn.Sequential(nn.Linear(n_in, n_out), nn.ReLU(), nn.Linear(n_out, n_out))

    def forward(self, h, edges):
        src, dst = edges
        incoming = torch.zeros_like(h).index_add(0, dst, h[src])
        return self.mlp((1 + self.eps) * h + incoming)


class GIN(nn.Module):
    def __init__(self, hidden=48, layers=3):
        super().__init__()
        sizes = [KINDS] + [hidden] * layers
        self.layers = nn.ModuleList(GINLayer(a, b) for a, b in zip(sizes, sizes[1:]))
        self.readout = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2))

    def forward(self, x, edges, graph_ids):
        h = x
        for layer in self.layers:
            h = F.relu(layer(h, edges))
        n_graphs = int(graph_ids.max()) + 1
        pooled = torch.zeros(n_graphs, h.size(1)).index_add(0, graph_ids, h)
        return self.readout(pooled / len(ATOMS))


def run_epoch(model, loader, optimizer=None):
    model.train(optimizer is not None)
    loss_sum, hits, count = 0.0, 0, 0
    with torch.set_grad_enabled(optimizer is not None):
        for x, edges, graph_ids, y in loader:
            logits = model(x, edges, graph_ids)
            loss = F.cross_entropy(logits, y)
            if optimizer is not None:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            loss_sum += loss.item() * len(y)
            hits += (logits.argmax(1) == y).sum().item()
            count += len(y)
    return loss_sum / count, hits / count


def main():
    random.seed(3)
    torch.manual_seed(3)
    compounds = [make_isomer() for _ in range(2400)]
    train, valid, test = compounds[:1600], compounds[1600:2000], compounds[2000:]
    print(f"pungent: {sum(c[2] for c in compounds) / len(compounds):.2f}")
    loaders = [DataLoader(part, batch_size=32, shuffle=part is train, collate_fn=collate)
               for part in (train, valid, test)]

    model = GIN()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=4)
    for epoch in range(1, 17):
        tr_loss, tr_acc = run_epoch(model, loaders[0], optimizer)
        va_loss, va_acc = run_epoch(model, loaders[1])
        scheduler.step(va_loss)
        if epoch % 3 == 1:
            print(f"{epoch:3d}  train {tr_loss:.4f} / {tr_acc:.3f}   valid {va_loss:.4f} / {va_acc:.3f}")
    print(f"test accuracy {run_epoch(model, loaders[2])[1]:.4f}")


if __name__ == "__main__":
    main()
