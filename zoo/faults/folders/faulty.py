import numpy as np
import torch
import torch.nn as nn
from sklearn.datasets import load_digits


def gather(seed):
    rng = np.random.default_rng(seed)
    d = load_digits()
    tr_x, tr_y, te_x, te_y = [], [], [], []
    for c in range(10):
        rows = rng.permutation(np.flatnonzero(d.target == c))
        cut = int(0.8 * len(rows))
        tr_x.append(d.data[rows[:cut]])
        tr_y.append(np.full(cut, c))
        te_x.append(d.data[rows[cut:]])
        te_y.append(np.full(len(rows) - cut, c))
    cat = lambda a, t: torch.tensor(np.concatenate(a), dtype=t)
    return cat(tr_x, torch.float32) / 16, cat(tr_y, torch.long), cat(te_x, torch.float32) / 16, cat(te_y, torch.long)


def iterate(x, y, size):
    for start in range(0, len(x), size):
        yield x[start:start + size], y[start:start + size]


def main():
    torch.manual_seed(0)
    x, y, xt, yt = gather(0)
    model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(20):
        seen = 0.0
        for xb, yb in iterate(x, y, 32):
            opt.zero_grad()
            loss = loss_fn(model(xb), yb)
            loss.backward()
            opt.step()
            seen += loss.item() * len(xb)
        with torch.no_grad():
            acc = (model(xt).argmax(1) == yt).float().mean().item()
        print(f"epoch {epoch} loss {seen / len(x):.4f} acc {acc:.3f}")


main()
