"""Which scriptorium wrote a scroll? Graph of scrolls copied from one another; loader and model after pygcn."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

np.random.seed(42)
torch.manual_seed(42)

N_CLASS, N_WORDS = 5, 80


def archive(n=600):
    """Two tables as they come from the archive: scrolls (catalogue id, words, scriptorium) and copies (id, id)."""
    labels = np.random.randint(0, N_CLASS, n)
    habit = np.random.dirichlet(np.full(N_WORDS, 0.8), N_CLASS)
    habit = 0.35 * habit + 0.65 * habit.mean(0)
    words = np.stack([np.random.multinomial(25, habit[c]) for c in labels]) > 0
    ids = np.random.choice(np.arange(10000, 99999), n, replace=False)
    copies = []
    for i in range(n):
        same = np.flatnonzero(labels == labels[i])
        for _ in range(3):
            j = np.random.choice(same) if np.random.rand() < 0.8 else np.random.randint(n)
            if j != i:
                copies.append((ids[i], ids[j]))
    return ids, words.astype(np.float32), labels, np.array(copies)


def load_data():
    ids, words, labels, copies = archive()
    idx_map = {j: i for i, j in enumerate(ids)}
    edges = np.array([[idx_map[a], idx_map[b]] for a, b in copies])

    adj = torch.eye(len(ids))
    adj[edges[:, 0], edges[:, 1]] = 1.0
    adj[edges[:, 1], edges[:, 0]] = 1.0
    deg = adj.sum(1).rsqrt()
    adj = deg[:, None] * adj * deg[None, :]

    features = torch.tensor(words)
    features = features / features.sum(1, keepdim=True)
    order = torch.randperm(len(ids))
    return adj, features, torch.tensor(labels), order[:150], order[150:250], order[250:]


class GraphConvolution(nn.Module):
    def __init__(self, in_features, out_features):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(in_features, out_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        stdv = 1.0 / math.sqrt(out_features)
        nn.init.uniform_(self.weight, -stdv, stdv)

    def forward(self, x, adj):
        return adj @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, nfeat, nhid, nclass, dropout):
        super().__init__()
        self.gc1 = GraphConvolution(nfeat, nhid)
        self.gc2 = GraphConvolution(nhid, nclass)
        self.dropout = dropout

    def forward(self, x, adj):
        x = F.relu(self.gc1(x, adj))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, adj), dim=1)


def accuracy(output, labels):
    return (output.argmax(1) == labels).float().mean().item()


adj, features, labels, idx_train, idx_val, idx_test = load_data()
model = GCN(features.size(1), 32, N_CLASS, dropout=0.5)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=5e-4)

active = []
model.gc1.register_forward_hook(lambda module, inputs, out: active.append((out > 0).float().mean().item()))

for epoch in range(1, 401):
    model.train()
    optimizer.zero_grad()
    output = model(features, adj)
    loss_train = F.nll_loss(output[idx_train], labels[idx_train])
    loss_train.backward()
    optimizer.step()
    if epoch % 50 == 0:
        model.eval()
        with torch.no_grad():
            output = model(features, adj)
        print(f"epoch {epoch:03d} loss_train {loss_train.item():.4f} acc_train {accuracy(output[idx_train], labels[idx_train]):.3f} "
              f"acc_val {accuracy(output[idx_val], labels[idx_val]):.3f} active {active[-1]:.2f}")

model.eval()
with torch.no_grad():
    output = model(features, adj)
print(f"test set: loss {F.nll_loss(output[idx_test], labels[idx_test]).item():.4f} accuracy {accuracy(output[idx_test], labels[idx_test]):.4f}")
