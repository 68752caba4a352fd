"""Which of four families does a villager side with?  600 villagers, who talks to whom, 16 noisy traits.

Transductive node classification: the whole graph goes through the net on every step, the loss is taken
on 40 named villagers, model selection on 100 others, the result on the remaining 460.
"""
import copy
import os

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

SEED = int(os.environ.get("SEED", "0"))
torch.manual_seed(SEED)
rng = np.random.default_rng(SEED)
N, K, D = 600, 4, 16

family = rng.permutation(np.repeat(np.arange(K), N // K))
same = family[:, None] == family[None]
talk = np.triu(rng.random((N, N)) < np.where(same, 0.040, 0.004), 1)
adj = torch.tensor(talk | talk.T, dtype=torch.float32)
centre = rng.normal(0, 0.55, (K, D))
traits = torch.tensor(centre[family] + rng.normal(0, 1, (N, D)), dtype=torch.float32)
y = torch.tensor(family)

perm = torch.from_numpy(np.concatenate([rng.permutation(np.flatnonzero(family == k))[:10] for k in range(K)]))
rest = torch.tensor([i for i in rng.permutation(N) if i not in set(perm.tolist())])
mask = {"train": perm, "val": rest[:100], "test": rest[100:]}

# symmetric normalisation with self loops
a = adj + torch.eye(N)
deg = a.sum(1).rsqrt()
A = (deg[:, None] * a * deg[None]).to_sparse()


class GCN(nn.Module):
    def __init__(self, h=32, p=0.5):
        super().__init__()
        self.l1, self.l2 = nn.Linear(D, h, bias=False), nn.Linear(h, K, bias=False)
        self.b1, self.b2 = nn.Parameter(torch.zeros(h)), nn.Parameter(torch.zeros(K))
        self.p = p

    def forward(self, x):
        x = F.dropout(x, self.p, self.training)
        x = F.relu(torch.sparse.mm(A, self.l1(x)) + self.b1)
        x = F.dropout(x, self.p, self.training)
        return torch.sparse.mm(A, self.l2(x)) + self.b2


@torch.no_grad()
def look(model, *parts):
    model.eval()
    pred = model(traits).argmax(1)
    return [(pred[mask[p]] == y[mask[p]]).float().mean().item() for p in parts]


def fit(dropout):
    model = GCN(p=dropout)
    opt = torch.optim.Adam([{"params": [model.l1.weight, model.b1], "weight_decay": 5e-3},
                            {"params": [model.l2.weight, model.b2], "weight_decay": 0.0}], lr=0.01)
    best, keep, since = -1.0, None, 0
    for step in range(500):
        model.train()
        loss = F.cross_entropy(model(traits)[mask["train"]], y[mask["train"]])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tr, va = look(model, "train", "val")
        if va > best:
            best, keep, since = va, copy.deepcopy(model.state_dict()), 0
        else:
            since += 1
        if step % 50 == 0:
            print(f"  dropout {dropout} step {step} loss {loss.item():.3f} train {tr:.2f} val {va:.2f}")
        if since >= 150:
            break
    model.load_state_dict(keep)
    return best, model


runs = [fit(p) for p in (0.3, 0.5, 0.7)]
val, model = max(runs, key=lambda r: r[0])

# the same traits without the graph, for comparison
flat = nn.Sequential(nn.Linear(D, 32), nn.ReLU(), nn.Dropout(0.5), nn.Linear(32, K))
opt = torch.optim.Adam(flat.parameters(), lr=0.01, weight_decay=5e-3)
for _ in range(200):
    loss = F.cross_entropy(flat(traits[mask["train"]]), y[mask["train"]])
    opt.zero_grad(); loss.backward(); opt.step()
flat.eval()
with torch.no_grad():
    alone = (flat(traits[mask["test"]]).argmax(1) == y[mask["test"]]).float().mean().item()
print(f"without the graph {alone:.3f}; with it: validation {val:.3f}")
print(f"test accuracy {look(model, 'test')[0]:.3f}")
