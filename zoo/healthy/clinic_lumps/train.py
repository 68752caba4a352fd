"""Benign or malignant: five small nets on the breast-cancer table, averaged; metrics written out by hand."""
import os

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
N_NETS = 5


def split(seed):
    data = load_breast_cancer()
    x = data.data.astype(np.float32)
    y = (data.target == 0).astype(np.float32)        # 1 = malignant
    order = np.random.RandomState(seed).permutation(len(x))
    te, tr = order[:170], order[170:]
    mean, std = x[tr].mean(0), x[tr].std(0)
    x = (x - mean) / std
    t = torch.from_numpy
    return t(x[tr]), t(y[tr]), t(x[te]), t(y[te])


def confusion(prob, y, threshold=0.5):
    guess = (prob >= threshold).float()
    tp = (guess * y).sum().item()
    fp = (guess * (1 - y)).sum().item()
    fn = ((1 - guess) * y).sum().item()
    return tp, fp, fn, len(y) - tp - fp - fn


def roc_area(prob, y):
    """The chance that a malignant case gets a higher score than a benign one."""
    pos, neg = prob[y == 1], prob[y == 0]
    wins = (pos[:, None] > neg[None, :]).float() + 0.5 * (pos[:, None] == neg[None, :]).float()
    return wins.mean().item()


def train_one(x, y, seed):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(30, 24), nn.ReLU(), nn.Dropout(0.3), nn.Linear(24, 12), nn.ReLU(), nn.Linear(12, 1))
    opt = torch.optim.Adam(net.parameters(), lr=2e-3, weight_decay=1e-3)
    bce = nn.BCEWithLogitsLoss()
    net.train()
    history = []
    for epoch in range(70):
        total = 0.0
        for idx in torch.randperm(len(x)).split(16):
            loss = bce(net(x[idx]).squeeze(1), y[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        history.append(total / len(x))
    print(f"net {seed}: loss {history[0]:.3f} -> {history[-1]:.4f}")
    return net.eval()


def main():
    xtr, ytr, xte, yte = split(SEED)
    nets = [train_one(xtr, ytr, 100 * SEED + k) for k in range(N_NETS)]
    with torch.no_grad():
        prob = torch.stack([torch.sigmoid(n(xte).squeeze(1)) for n in nets]).mean(0)
    tp, fp, fn, tn = confusion(prob, yte)
    precision, recall = tp / (tp + fp), tp / (tp + fn)
    print(f"tp {tp:.0f} fp {fp:.0f} fn {fn:.0f} tn {tn:.0f}")
    print(f"precision {precision:.3f} recall {recall:.3f} F1 {2 * precision * recall / (precision + recall):.3f}")
    print(f"ROC area {roc_area(prob, yte):.4f}  accuracy {(tp + tn) / len(yte):.4f}")


if __name__ == "__main__":
    main()
