"""Homework 5: which faculty does a student belong to? Club membership graph + questionnaire."""
import argparse

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def make_graph(n, faculties, seed):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, faculties, n)
    same = y[:, None] == y[None, :]
    edges = rng.random((n, n)) < np.where(same, 0.045, 0.006)
    edges = np.triu(edges, 1)
    adj = (edges | edges.T).astype(np.float32) + np.eye(n, dtype=np.float32)
    deg = adj.sum(1) ** -0.5
    taste = np.random.default_rng(seed + 1).random((faculties, 40)) * 0.35
    answers = (rng.random((n, 40)) < taste[y]).astype(np.float32)
    adj = torch.from_numpy(deg[:, None] * adj * deg[None, :])
    return adj, torch.from_numpy(answers), torch.from_numpy(y)


class GCN(nn.Module):
    def __init__(self, n_in, n_hid, n_out, drop):
        super().__init__()
        self.w1 = nn.Linear(n_in, n_hid)
        self.w2 = nn.Linear(n_hid, n_out)
        self.drop = drop

    def forward(self, x, adj):
        x = F.dropout(x, self.drop)
        x = F.relu(adj @ self.w1(x))
        x = F.dropout(x, self.drop)
        return adj @ self.w2(x)


def accuracy(logits, y):
    return (logits.argmax(1) == y).float().mean().item()


def parse(argv=None):
    ap = argparse.ArgumentParser()
    ap.add_argument("--students", type=int, default=700)
    ap.add_argument("--faculties", type=int, default=7)
    ap.add_argument("--hidden", type=int, default=32)
    ap.add_argument("--dropout", type=float, default=0.6)
    ap.add_argument("--lr", type=float, default=0.01)
    ap.add_argument("--weight-decay", type=float, default=5e-4)
    ap.add_argument("--epochs", type=int, default=200)
    return ap.parse_args(argv)


def main():
    args = parse([])
    torch.manual_seed(17)
    adj, x, y = make_graph(args.students, args.faculties, seed=17)
    perm = torch.randperm(args.students)
    train, test = perm[:210], perm[210:]

    model = GCN(x.shape[1], args.hidden, args.faculties, args.dropout)
    opt = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    for epoch in range(1, args.epochs + 1):
        model.train()
        opt.zero_grad()
        loss = F.cross_entropy(model(x, adj)[train], y[train])
        loss.backward()
        opt.step()
        if epoch % 25 == 0:
            model.eval()
            with torch.no_grad():
                out = model(x, adj)
            print(
                f"epoch {epoch:3d} loss {loss.item():.3f} "
                f"train {accuracy(out[train], y[train]):.3f} test {accuracy(out[test], y[test]):.3f}"
            )


main()
