# Stalls of the bazaar as a graph (an edge: the owners lend each other things).
# What does a stall sell? Graph convolution written by hand after the GCN paper.
import os
import random
import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

N, K, D = 900, 6, 40


def bazaar():
    rng = np.random.default_rng(seed)
    goods = rng.integers(0, K, N)
    same = goods[:, None] == goods[None, :]
    prob = np.where(same, 0.028, 0.003)
    a = np.triu(rng.random((N, N)) < prob, 1)
    a = (a | a.T).astype(np.float32)
    centre = rng.normal(0, 0.35, (K, D))
    feats = centre[goods] + rng.normal(0, 1.0, (N, D))
    return torch.tensor(a), torch.tensor(feats, dtype=torch.float32), torch.tensor(goods)


def normalise(a):
    a = a + torch.eye(len(a))
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None, :]


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.empty(n_out))
        self.reset_parameters()

    def reset_parameters(self):
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, adj, x):
        return adj @ (x @ self.weight) + self.bias


class StallNet(nn.Module):
    def __init__(self, hidden=128):
        super().__init__()
        self.conv1 = GraphConv(D, hidden)
        self.conv2 = GraphConv(hidden, hidden)
        self.conv3 = GraphConv(hidden, K)

    def forward(self, adj, x):
        x = torch.tanh(self.conv1(adj, x))
        x = F.dropout(x, 0.3, self.training)
        x = torch.tanh(self.conv2(adj, x))
        x = F.dropout(x, 0.3, self.training)
        return self.conv3(adj, x)


adj, feats, goods = bazaar()
adj = normalise(adj)
perm = torch.randperm(N)
train_idx, val_idx, test_idx = perm[:60], perm[60:300], perm[300:]

model = StallNet()
optimizer = torch.optim.Adam(model.parameters(), lr=0.005, weight_decay=5e-4)


@torch.no_grad()
def accuracy(idx):
    model.eval()
    return (model(adj, feats)[idx].argmax(1) == goods[idx]).float().mean().item()


for epoch in range(1, 121):
    model.train()
    optimizer.zero_grad()
    loss = F.cross_entropy(model(adj, feats)[train_idx], goods[train_idx])
    loss.backward()
    optimizer.step()
    if epoch % 20 == 0:
        print(f"epoch {epoch:03d} loss {loss.item():.4f} train {accuracy(train_idx):.3f} val {accuracy(val_idx):.3f}")

print(f"test accuracy {accuracy(test_idx):.4f}")
