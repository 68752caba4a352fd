"""Smuggler ring: which gang does a boat belong to? A graph network over harbour meetings, from a boat table and a meeting log."""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(8)
rng = np.random.default_rng(8)

BOATS, GANGS, FEATS, MEETINGS = 900, 5, 12, 4500


def boat_table():
    """One row per boat in registration order: licence number, measurements, gang."""
    licence = rng.choice(np.arange(10_000, 99_999), BOATS, replace=False)
    gang = rng.integers(0, GANGS, BOATS)
    centres = rng.normal(size=(GANGS, FEATS))
    x = 0.45 * centres[gang] + rng.normal(size=(BOATS, FEATS))
    return licence, x.astype(np.float32), gang


def meeting_log(licence, gang):
    """Pairs of licence numbers; boats of one gang meet far more often than others."""
    members = [np.flatnonzero(gang == g) for g in range(GANGS)]
    a = rng.integers(0, BOATS, MEETINGS)
    mate = np.array([rng.choice(members[gang[i]]) for i in a])
    b = np.where(rng.random(MEETINGS) < 0.7, mate, rng.integers(0, BOATS, MEETINGS))
    return np.stack([licence[a], licence[b]])


def load_graph():
    licence, x, gang = boat_table()
    log = meeting_log(licence, gang)
    ids, edges = np.unique(np.concatenate([licence, log.ravel()]), return_inverse=True)
    edges = torch.from_numpy(np.argsort(licence)[edges[BOATS:]].reshape(2, -1))
    x = torch.from_numpy(x)
    x = (x - x.mean(0)) / x.std(0)
    return x, edges, torch.from_numpy(gang)


def make_propagate(edges, n):
    """Symmetric normalised adjacency with self loops, as a closure."""
    loops = torch.arange(n).expand(2, -1)
    both = torch.cat([edges, edges.flip(0), loops], 1)
    adj = torch.sparse_coo_tensor(both, torch.ones(both.size(1)), (n, n), check_invariants=True).coalesce()
    deg = torch.zeros(n).index_add_(0, adj.indices()[0], adj.values())
    i, j = adj.indices()
    adj = torch.sparse_coo_tensor(adj.indices(), adj.values() / (deg[i] * deg[j]).sqrt(), (n, n), check_invariants=True).coalesce()

    def propagate(h):
        return torch.sparse.mm(adj, h)
    return propagate


class GCN(nn.Module):
    def __init__(self, propagate, hidden=48, dropout=0.5):
        super().__init__()
        self.propagate, self.dropout = propagate, dropout
        self.lin1, self.lin2 = nn.Linear(FEATS, hidden), nn.Linear(hidden, GANGS)

    def forward(self, x):
        h = F.relu(self.propagate(self.lin1(x)))
        h = F.dropout(h, self.dropout, self.training)
        return self.propagate(self.lin2(h))


def make_step(model, opt, x, y, mask):
    def step():
        def closure():
            opt.zero_grad()
            loss = F.cross_entropy(model(x)[mask], y[mask])
            loss.backward()
            return loss
        model.train()
        return opt.step(closure).item()
    return step


def make_score(model, x, y):
    @torch.no_grad()
    def score(mask):
        model.eval()
        return (model(x).argmax(1) == y)[mask].float().mean().item()
    return score


x, edges, y = load_graph()
order = torch.randperm(BOATS)
train, val, test = order[:250], order[250:450], order[450:]

model = GCN(make_propagate(edges, BOATS))
opt = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)
step, score = make_step(model, opt, x, y, train), make_score(model, x, y)

best, at_best = 0.0, 0.0
for epoch in range(1, 501):
    loss = step()
    if epoch % 10 == 0:
        v = score(val)
        if v > best:
            best, at_best = v, score(test)
    if epoch % 100 == 0:
        print(f"epoch {epoch}  loss {loss:.4f}  val {v:.3f}")
print(f"test accuracy {at_best:.4f}")
