"""Embeds the stampings on key blanks so that two blanks of one kind lie close (batch-hard triplets)."""
import argparse
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Embedder(nn.Module):
    def __init__(self, out=16):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, out))

    def forward(self, x):
        return F.normalize(self.body(x), dim=1)


def pairwise(z):
    return (2 - 2 * z @ z.t()).clamp(min=1e-8).sqrt()


def batch_hard(z, y, margin):
    dist = pairwise(z)
    same = y[:, None] == y[None, :]
    # furthest sample of the same kind
    hardest_pos = (dist * same.float()).max(dim=1).values
    # nearest sample of another kind
    hardest_neg = (dist * (~same).float()).min(dim=1).values
    return F.relu(hardest_pos - hardest_neg + margin).mean()


def pk_batch(by_class, k):
    idx = torch.cat([c[torch.randperm(len(c))[:k]] for c in by_class])
    return idx


@torch.no_grad()
def verification(model, x, y, threshold):
    """Balanced accuracy of 'same kind' when the distance is below the threshold."""
    dist = pairwise(model(x))
    same = y[:, None] == y[None, :]
    off = ~torch.eye(len(y), dtype=torch.bool)
    tpr = (dist < threshold)[same & off].float().mean()
    tnr = (dist >= threshold)[~same].float().mean()
    return ((tpr + tnr) / 2).item()


def main(args):
    random.seed(args.seed)
    np.random.seed(args.seed)
    torch.manual_seed(args.seed)
    data = load_digits()
    order = np.random.permutation(len(data.target))
    x = torch.tensor(data.data[order] / 16.0, dtype=torch.float32)
    y = torch.tensor(data.target[order])
    x_train, y_train, x_test, y_test = x[:1300], y[:1300], x[1300:], y[1300:]
    by_class = [torch.nonzero(y_train == c).flatten() for c in range(10)]

    model = Embedder()
    opt = torch.optim.Adam(model.parameters(), lr=args.lr, weight_decay=1e-5)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, args.steps)
    for step in range(args.steps):
        idx = pk_batch(by_class, args.k)
        loss = batch_hard(model(x_train[idx]), y_train[idx], args.margin)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1} triplet {loss.item():.4f} verification {verification(model, x_test, y_test, args.threshold):.4f}")
    print(f"verification accuracy {verification(model, x_test, y_test, args.threshold):.4f}")


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("--seed", type=int, default=int(os.environ.get("SEED", "0")))
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--steps", type=int, default=600)
    p.add_argument("--k", type=int, default=8)
    p.add_argument("--margin", type=float, default=0.4)
    p.add_argument("--threshold", type=float, default=0.8)
    main(p.parse_args())
