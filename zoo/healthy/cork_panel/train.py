"""A panel of tasters: which of three growers does a bottle come from?  Five-fold cross-validation."""
import os

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler
from torch import nn

seed = int(os.environ.get("SEED", "0"))
FOLDS, EPOCHS, BATCH, REPEATS = 5, 80, 16, 2


def build(n_in, n_out):
    return nn.Sequential(nn.Linear(n_in, 32), nn.ReLU(), nn.Dropout(0.3), nn.Linear(32, n_out))


def fit(x, y, n_classes, gen):
    model = build(x.shape[1], n_classes)
    counts = torch.bincount(y, minlength=n_classes).float()
    weights = counts.sum() / (n_classes * counts)
    opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS)
    first = last = None
    for epoch in range(EPOCHS):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(x), generator=gen).split(BATCH):
            opt.zero_grad()
            loss = F.cross_entropy(model(x[idx]), y[idx], weight=weights)
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        sched.step()
        last = total / len(x)
        first = last if first is None else first
    return model, first, last


@torch.no_grad()
def confusion(model, x, y, k):
    model.eval()
    pred = model(x).argmax(1)
    table = torch.zeros(k, k, dtype=torch.long)
    for t, p in zip(y.tolist(), pred.tolist()):
        table[t, p] += 1
    return table


def macro_f1(table):
    tp = table.diag().float()
    precision = tp / table.sum(0).clamp(min=1)
    recall = tp / table.sum(1).clamp(min=1)
    return (2 * precision * recall / (precision + recall).clamp(min=1e-9)).mean().item()


def main():
    torch.manual_seed(seed)
    gen = torch.Generator().manual_seed(seed)
    data, target = load_wine(return_X_y=True)
    k = int(target.max()) + 1
    total = torch.zeros(k, k, dtype=torch.long)
    scores = []
    for repeat in range(REPEATS):
        folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed * 10 + repeat)
        for number, (tr, te) in enumerate(folds.split(data, target)):
            scaler = StandardScaler().fit(data[tr])        # statistics of this fold's training part only
            xtr = torch.tensor(scaler.transform(data[tr]), dtype=torch.float32)
            xte = torch.tensor(scaler.transform(data[te]), dtype=torch.float32)
            ytr, yte = torch.tensor(target[tr]), torch.tensor(target[te])
            model, first, last = fit(xtr, ytr, k, gen)
            table = confusion(model, xte, yte, k)
            total += table
            scores.append(macro_f1(table))
            print(f"repeat {repeat} fold {number}: loss {first:.3f} -> {last:.3f}, macro F1 {scores[-1]:.3f}")
    print(total.numpy())
    accuracy = total.diag().sum().item() / total.sum().item()
    print(f"cross-validated accuracy {accuracy:.3f}, macro F1 {np.mean(scores):.3f} +- {np.std(scores):.3f}")


if __name__ == "__main__":
    main()
