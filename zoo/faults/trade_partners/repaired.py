"""Who trades with whom: GCN encoder (after pygcn), link prediction on pairs of merchants."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score

torch.manual_seed(21)
rng = np.random.default_rng(21)


def merchants(n=300):
    """Merchants live in places; near ones trade. Features: noisy hints about the place."""
    place = rng.uniform(-1, 1, (n, 2))
    dist = np.linalg.norm(place[:, None] - place[None], axis=-1)
    prob = 0.9 * np.exp(-(dist / 0.22) ** 2)
    upper = np.triu(rng.uniform(size=(n, n)) < prob, k=1)
    edges = np.argwhere(upper)
    mix = rng.normal(size=(2, 12))
    feats = place @ mix + 0.5 * rng.normal(size=(n, 12))
    feats = (feats - feats.mean(0)) / feats.std(0)
    return torch.tensor(feats, dtype=torch.float32), torch.tensor(edges), torch.tensor(upper | upper.T)


def normalized_adjacency(edges, n):
    a = torch.eye(n)
    a[edges[:, 0], edges[:, 1]] = 1.0
    a[edges[:, 1], edges[:, 0]] = 1.0
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None, :]


def sample_non_edges(linked, count):
    n = linked.size(0)
    pairs = torch.randint(0, n, (4 * count, 2))
    ok = (pairs[:, 0] != pairs[:, 1]) & ~linked[pairs[:, 0], pairs[:, 1]]
    return pairs[ok][:count]


class GraphConvolution(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        bound = 1.0 / math.sqrt(n_out)
        nn.init.uniform_(self.weight, -bound, bound)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class Encoder(nn.Module):
    def __init__(self, n_feat, n_hid, n_emb, dropout):
        super().__init__()
        self.gc1 = GraphConvolution(n_feat, n_hid)
        self.gc2 = GraphConvolution(n_hid, n_emb)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return self.gc2(x, adj)


feats, edges, linked = merchants()
edges = edges[torch.randperm(len(edges))]
n_test = len(edges) // 5
test_pos, train_pos = edges[:n_test], edges[n_test:]
test_neg = sample_non_edges(linked, n_test)
adj = normalized_adjacency(train_pos, len(feats))

model = Encoder(feats.size(1), 64, 16, dropout=0.1)
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-5)

spread = {}
model.gc1.register_forward_hook(lambda m, i, o: spread.update(hidden=o.detach().std(0).mean().item()))
model.gc2.register_forward_hook(lambda m, i, o: spread.update(embedding=o.detach().std(0).mean().item()))


def pair_distance(z, pairs):
    return (z[pairs[:, 0]] - z[pairs[:, 1]]).pow(2).sum(1).add(1e-8).sqrt()


target = -torch.ones(len(train_pos))
for epoch in range(1, 501):
    model.train()
    optimizer.zero_grad()
    z = model(feats, adj)
    neg = sample_non_edges(linked, len(train_pos))
    score_pos, score_neg = pair_distance(z, train_pos), pair_distance(z, neg)
    loss = F.margin_ranking_loss(score_pos, score_neg, target, margin=1.0)
    loss.backward()
    optimizer.step()
    if epoch % 100 == 0:
        print(f"epoch {epoch}  loss {loss.item():.4f}  spread hidden {spread['hidden']:.3f} embedding {spread['embedding']:.3f}")

model.eval()
with torch.no_grad():
    z = model(feats, adj)
    dist = torch.cat([pair_distance(z, test_pos), pair_distance(z, test_neg)])
truth = torch.cat([torch.ones(len(test_pos)), torch.zeros(len(test_neg))])
print(f"held-out links: AUC {roc_auc_score(truth.numpy(), -dist.numpy()):.4f}")
