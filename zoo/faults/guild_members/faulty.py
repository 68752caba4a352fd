# Which guild does a craftsman belong to? Known for a few of them; the rest follows from who trades with whom.
import argparse
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def parse_args():
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    p.add_argument("--nodes", type=int, default=800)
    p.add_argument("--guilds", type=int, default=5)
    p.add_argument("--hidden", type=int, default=32)
    p.add_argument("--dropout", type=float, default=0.5)
    p.add_argument("--lr", type=float, default=1e-5)
    p.add_argument("--weight-decay", type=float, default=5e-4)
    p.add_argument("--epochs", type=int, default=500)
    p.add_argument("--labelled", type=int, default=20, help="known members of each guild")
    return p.parse_args()


def trade_network(args):
    rng = np.random.default_rng(args.seed)
    guild = rng.integers(0, args.guilds, args.nodes)
    same = guild[:, None] == guild[None, :]
    prob = np.where(same, 0.035, 0.005)
    upper = np.triu(rng.random((args.nodes, args.nodes)) < prob, 1)
    adj = (upper | upper.T).astype(np.float32)
    goods = rng.normal(0, 1, (args.guilds, 24))
    feats = 0.45 * goods[guild] + rng.normal(0, 1, (args.nodes, 24))
    known = np.concatenate([rng.permutation(np.where(guild == g)[0])[: args.labelled] for g in range(args.guilds)])
    rest = rng.permutation(np.setdiff1d(np.arange(args.nodes), known))
    return (torch.from_numpy(adj), torch.tensor(feats, dtype=torch.float32), torch.from_numpy(guild),
            torch.from_numpy(known), torch.from_numpy(rest[:150]), torch.from_numpy(rest[150:]))


def normalise(adj):
    a = adj + torch.eye(len(adj))
    d = a.sum(1).rsqrt()
    return d[:, None] * a * d[None, :]


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
        self.conv1 = GraphConv(n_in, hidden)
        self.conv2 = GraphConv(hidden, n_out)
        self.dropout = dropout

    def forward(self, x, a):
        x = F.dropout(x, self.dropout, training=self.training)
        x = F.relu(self.conv1(x, a))
        x = F.dropout(x, self.dropout, training=self.training)
        return self.conv2(x, a)


def accuracy(logits, labels, idx):
    return (logits[idx].argmax(1) == labels[idx]).float().mean().item()


def main(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    adj, x, y, idx_train, idx_val, idx_test = trade_network(args)
    a = normalise(adj)
    model = GCN(x.shape[1], args.hidden, args.guilds, args.dropout)
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)

    for epoch in range(args.epochs):
        model.train()
        optimizer.zero_grad()
        out = model(x, a)
        loss = F.cross_entropy(out[idx_train], y[idx_train])
        loss.backward()
        optimizer.step()

        model.eval()
        with torch.no_grad():
            out = model(x, a)
            val_loss = F.cross_entropy(out[idx_val], y[idx_val])
        if epoch % 25 == 0 or epoch == args.epochs - 1:
            print(f"Epoch: {epoch:04d} loss_train: {loss.item():.4f} loss_val: {val_loss.item():.4f} "
                  f"acc_val: {accuracy(out, y, idx_val):.4f}")

    model.eval()
    with torch.no_grad():
        out = model(x, a)
    print(f"Test set results: accuracy= {accuracy(out, y, idx_test):.4f}")


if __name__ == "__main__":
    main(parse_args())
