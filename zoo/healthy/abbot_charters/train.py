"""Charters that share witnesses: from which of four abbeys is each?  Graph convolution, few labels."""
import os

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
NODES, ABBEYS, WORDS = 1600, 4, 200
PER_CLASS, N_VALID = 20, 300


def charters(rng):
    y = rng.integers(0, ABBEYS, NODES)
    topics = rng.dirichlet(np.full(WORDS, 0.3), ABBEYS)
    mixed = 0.22 * topics[y] + 0.78 * topics.mean(0)
    counts = np.stack([rng.multinomial(30, p / p.sum()) for p in mixed])
    p_same, p_other = 12.0 / NODES, 1.0 / NODES
    same = y[:, None] == y[None, :]
    upper = np.triu(rng.random((NODES, NODES)) < np.where(same, p_same, p_other), 1)
    src, dst = np.nonzero(upper | upper.T)
    return (counts > 0).astype(np.float32), y, np.stack([src, dst])


def normalized(edges):
    """D^-1/2 (A + I) D^-1/2 as a sparse matrix."""
    loops = np.arange(NODES)
    idx = torch.tensor(np.concatenate([edges, np.stack([loops, loops])], 1))
    degree = torch.bincount(idx[0], minlength=NODES).float()
    values = degree[idx[0]].rsqrt() * degree[idx[1]].rsqrt()
    return torch.sparse_coo_tensor(idx, values, (NODES, NODES), check_invariants=True).coalesce()


class GCN(nn.Module):
    def __init__(self, n_in, hidden, n_out, dropout=0.5):
        super().__init__()
        self.lin1, self.lin2 = nn.Linear(n_in, hidden), nn.Linear(hidden, n_out)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.dropout(x, self.dropout, self.training)
        x = F.relu(torch.sparse.mm(adj, self.lin1(x)))
        x = F.dropout(x, self.dropout, self.training)
        return torch.sparse.mm(adj, self.lin2(x))


def train(x, adj, y, masks, name):
    model = GCN(x.shape[1], 32, ABBEYS)
    opt = torch.optim.Adam([{"params": model.lin1.parameters(), "weight_decay": 5e-3},
                            {"params": model.lin2.parameters(), "weight_decay": 0.0}], lr=0.01)
    best, state, waited = float("inf"), None, 0
    for epoch in range(400):
        model.train()
        opt.zero_grad()
        loss = F.cross_entropy(model(x, adj)[masks["train"]], y[masks["train"]])
        loss.backward()
        opt.step()
        model.eval()
        with torch.no_grad():
            out = model(x, adj)
            valid = F.cross_entropy(out[masks["valid"]], y[masks["valid"]]).item()
        if valid < best:
            best, waited = valid, 0
            state = {k: v.clone() for k, v in model.state_dict().items()}
        else:
            waited += 1
        if epoch % 50 == 0:
            print(f"{name} epoch {epoch:3d} train {loss.item():.3f} valid {valid:.3f}")
        if waited == 60:
            break
    model.load_state_dict(state)
    model.eval()
    with torch.no_grad():
        hit = model(x, adj).argmax(1) == y
    return hit[masks["test"]].float().mean().item()


def main():
    rng = np.random.default_rng(SEED)
    torch.manual_seed(SEED)
    words, labels, edges = charters(rng)
    x = torch.tensor(words / words.sum(1, keepdims=True).clip(1)) * 20
    y = torch.tensor(labels)
    order = torch.randperm(NODES)
    masks = {k: torch.zeros(NODES, dtype=torch.bool) for k in ("train", "valid", "test")}
    for c in range(ABBEYS):
        masks["train"][order[y[order] == c][:PER_CLASS]] = True
    rest = order[~masks["train"][order]]
    masks["valid"][rest[:N_VALID]] = True
    masks["test"][rest[N_VALID:]] = True

    alone = train(x, normalized(np.zeros((2, 0), dtype=np.int64)), y, masks, "words alone")
    graph = train(x, normalized(edges), y, masks, "with witnesses")
    print(f"test accuracy: words alone {alone:.3f}, with the network of witnesses {graph:.3f}")


if __name__ == "__main__":
    main()
