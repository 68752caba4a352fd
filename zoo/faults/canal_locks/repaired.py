"""Node classification: which company keeps the lock? Two-layer graph convolution written out by hand."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

N, COMPANIES, FEATURES = 400, 4, 60


def make_network():
    owner = np.random.randint(0, COMPANIES, N)
    same = owner[:, None] == owner[None, :]
    prob = np.where(same, 0.020, 0.008)
    upper = np.triu(np.random.rand(N, N) < prob, 1)
    adj = (upper | upper.T).astype(np.float32) + np.eye(N, dtype=np.float32)
    d = 1 / np.sqrt(adj.sum(1))
    adj = adj * d[:, None] * d[None, :]
    x = np.random.randn(N, FEATURES).astype(np.float32)
    x[np.arange(N), owner] += 2.0
    return adj.astype(np.float32), x, owner


adj, x, owner = make_network()
adj_t = torch.from_numpy(adj)
features = torch.from_numpy(x)
labels = torch.from_numpy(owner).long()
perm = torch.randperm(N)
idx_train, idx_val, idx_test = perm[:160], perm[160:220], perm[220:]


class GraphConvolution(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, h):
        support = h @ self.weight
        gathered = adj_t @ support
        return gathered + self.bias


class GCN(nn.Module):
    def __init__(self, hidden=8, dropout=0.3):
        super().__init__()
        self.gc1 = GraphConvolution(FEATURES, hidden)
        self.gc2 = GraphConvolution(hidden, hidden)
        self.out = nn.Linear(hidden, COMPANIES)
        self.dropout = dropout

    def forward(self, h):
        h = F.relu(self.gc1(h))
        h = F.dropout(h, self.dropout, training=self.training)
        h = F.relu(self.gc2(h))
        return F.log_softmax(self.out(h), dim=1)


model = GCN()
optimizer = torch.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)


def accuracy(output, idx):
    return (output[idx].argmax(1) == labels[idx]).float().mean().item()


best_val, best_test = 0.0, 0.0
for epoch in range(1, 901):
    model.train()
    optimizer.zero_grad()
    output = model(features)
    loss = F.nll_loss(output[idx_train], labels[idx_train])
    loss.backward()
    optimizer.step()
    if epoch % 10 == 0:
        model.eval()
        with torch.no_grad():
            output = model(features)
        val = accuracy(output, idx_val)
        if val > best_val:
            best_val, best_test = val, accuracy(output, idx_test)
    if epoch % 150 == 0:
        print("Epoch: {:04d} loss_train: {:.4f} acc_val: {:.4f}".format(epoch, loss.item(), val))

print("Test set results: accuracy= {:.4f}".format(best_test))
