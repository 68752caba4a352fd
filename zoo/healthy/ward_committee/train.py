"""Diabetes progression with a committee of eight small networks.

Each member trains on a bootstrap sample and stops early on the rows its sample
left out; the committee's answer is the mean.  Ridge regression for comparison.
"""
import os

import numpy as np
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import train_test_split
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
MEMBERS, MAX_EPOCHS, PATIENCE = 8, 150, 20


def r2(pred, truth):
    return 1 - ((pred - truth) ** 2).sum() / ((truth - truth.mean()) ** 2).sum()


class Member(nn.Module):
    def __init__(self, p):
        super().__init__()
        self.linear = nn.Linear(p, 1)
        self.hidden = nn.Linear(p, 16)
        self.out = nn.Linear(16, 1)

    def forward(self, x):
        bent = self.out(torch.tanh(self.hidden(x)))
        return (self.linear(x) + bent).squeeze(1)


def train_member(x, y, number):
    gen = torch.Generator().manual_seed(1000 * SEED + number)
    rows = torch.randint(0, len(x), (len(x),), generator=gen)
    out = torch.ones(len(x), dtype=torch.bool)
    out[rows] = False
    model = Member(x.shape[1])
    # no decay on biases
    decay = [p for p in model.parameters() if p.ndim > 1]
    free = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": 0.3},
                                   {"params": free, "weight_decay": 0.0}], lr=3e-3)
    loss_fn = nn.SmoothL1Loss()
    best, best_epoch, weights = float("inf"), 0, None
    for epoch in range(MAX_EPOCHS):
        model.train()
        for idx in rows[torch.randperm(len(rows), generator=gen)].split(16):
            optimizer.zero_grad()
            loss = loss_fn(model(x[idx]), y[idx])
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            left_out = loss_fn(model(x[out]), y[out]).item()
        if left_out < best:
            best, best_epoch = left_out, epoch
            weights = {k: v.clone() for k, v in model.state_dict().items()}
        elif epoch - best_epoch >= PATIENCE:
            break
    model.load_state_dict(weights)
    return model, best, best_epoch


def main():
    torch.manual_seed(SEED)
    X, y = load_diabetes(return_X_y=True, scaled=False)
    X_tr, X_te, y_tr, y_te = train_test_split(X, y, test_size=0.25, random_state=SEED)
    mx, sx, my, sy = X_tr.mean(0), X_tr.std(0), y_tr.mean(), y_tr.std()
    x_tr, x_te = (torch.tensor((a - mx) / sx, dtype=torch.float32) for a in (X_tr, X_te))
    t_tr = torch.tensor((y_tr - my) / sy, dtype=torch.float32)

    ridge = RidgeCV(alphas=np.logspace(-2, 3, 20)).fit(x_tr.numpy(), t_tr.numpy())
    print(f"ridge      test R2 {r2(ridge.predict(x_te.numpy()) * sy + my, y_te):.3f}")

    votes = []
    for m in range(MEMBERS):
        model, loss, epoch = train_member(x_tr, t_tr, m)
        with torch.no_grad():
            votes.append(model(x_te).numpy() * sy + my)
        print(f"member {m}   left-out loss {loss:.4f} at epoch {epoch:3d}  test R2 {r2(votes[-1], y_te):.3f}")
    together = np.mean(votes, axis=0)
    print(f"committee  test R2 {r2(together, y_te):.3f}  RMSE {np.sqrt(np.mean((together - y_te) ** 2)):.1f}")


if __name__ == "__main__":
    main()
