import argparse

import torch
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch import nn


def load(seed):
    X, y = load_breast_cancer(return_X_y=True)
    y = 1 - y
    Xa, Xb, ya, yb = train_test_split(X, y, test_size=0.25, random_state=seed, stratify=y)
    m, s = Xa.mean(0), Xa.std(0)
    f = lambda a: torch.as_tensor(a, dtype=torch.float32)
    return f((Xa - m) / s), f(ya), f((Xb - m) / s), f(yb)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--epochs", type=int, default=30)
    ap.add_argument("--batch-size", type=int, default=32)
    ap.add_argument("--lr", type=float, default=1e-3)
    ap.add_argument("--seed", type=int, default=5)
    args = ap.parse_args()

    torch.manual_seed(args.seed)
    xa, ya, xb, yb = load(args.seed)
    model = nn.Sequential(nn.Linear(30, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 1))
    opt = torch.optim.AdamW(model.parameters(), lr=args.lr)
    loss_fn = nn.BCEWithLogitsLoss()
    for epoch in range(args.epochs):
        perm = torch.randperm(len(xa))
        run = 0.0
        for i in range(0, len(xa), args.batch_size):
            idx = perm[i:i + args.batch_size]
            logit = model(xa[idx]).squeeze(1)
            loss = loss_fn(logit, ya[idx])
            opt.zero_grad()
            loss.backward()
            opt.step()
            run += loss.item() * len(idx)
        with torch.no_grad():
            pos = model(xb).squeeze(1) > 0
            acc = (pos == (yb > 0.5)).float().mean().item()
            vloss = loss_fn(model(xb).squeeze(1), yb).item()
        print(f"epoch {epoch} loss {run / len(xa):.4f} val_loss {vloss:.4f} val_acc {acc:.4f}")


if __name__ == "__main__":
    main()
