"""Which order does an abbey belong to? Two-layer graph convolution on its correspondence."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def build_letters(seed, n=900, orders=4, words=60):
    rng = np.random.default_rng(seed)
    label = rng.integers(0, orders, n)
    same = label[:, None] == label[None, :]
    p = np.where(same, 0.016, 0.0022)
    upper = np.triu(rng.random((n, n)) < p, k=1)
    adj = (upper | upper.T).astype(np.float32)
    topic = rng.random((orders, words)) < 0.25
    rate = np.where(topic[label], 0.12, 0.06)
    bag = (rng.random((n, words)) < rate).astype(np.float32)
    return torch.from_numpy(adj), torch.from_numpy(bag), torch.from_numpy(label)


def normalise(adj):
    adj = adj + torch.eye(adj.size(0))
    deg = adj.sum(1)
    inv = deg.pow(-0.5)
    return inv[:, None] * adj * inv[None, :]


class GraphConv(nn.Module):
    def __init__(self, n_in, n_out):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        nn.init.xavier_uniform_(self.weight)

    def forward(self, x, a):
        return a @ (x @ self.weight) + self.bias


class GCN(nn.Module):
    def __init__(self, n_in, hidden, n_out, dropout):
        super().__init__()
        self.gc1 = GraphConv(n_in, hidden)
        self.gc2 = GraphConv(hidden, n_out)
        self.dropout = dropout

    def forward(self, x, a):
        x = F.dropout(x, self.dropout, training=self.training)
        x = F.relu(self.gc1(x, a))
        x = F.dropout(x, self.dropout, training=self.training)
        return F.log_softmax(self.gc2(x, a), dim=1)


def accuracy(out, y, idx):
    return (out[idx].argmax(1) == y[idx]).float().mean().item()


def train(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    adj, x, y = build_letters(args.seed)
    a = normalise(adj)
    perm = torch.randperm(len(y))
    idx_train, idx_val, idx_test = perm[:100], perm[100:300], perm[300:]
    model = GCN(x.size(1), args.hidden, int(y.max()) + 1, args.dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    best_val, best_test = 0.0, 0.0
    for epoch in range(1, args.epochs + 1):
        model.train()
        optimizer.zero_grad()
        out = model(x, a)
        loss = F.nll_loss(out[idx_train], y[idx_train])
        loss.backward()
        optimizer.step()

        with torch.no_grad():
            out = model(x, a)
        val = accuracy(out, y, idx_val)
        if val >= best_val:
            best_val, best_test = val, accuracy(out, y, idx_test)
        if epoch % 40 == 0:
            print(f"epoch {epoch:4d} loss {loss.item():.4f} train {accuracy(out, y, idx_train):.3f} val {val:.3f}")
    print(f"test accuracy {best_test:.4f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    parser.add_argument("--epochs", type=int, default=240)
    parser.add_argument("--hidden", type=int, default=24)
    parser.add_argument("--lr", type=float, default=0.01)
    parser.add_argument("--weight-decay", type=float, default=5e-4)
    parser.add_argument("--dropout", type=float, default=0.5)
    train(parser.parse_args())
