"""Occurrence of the great crested newt in ponds: a logistic response surface with pairwise interactions.

   logit p_i = alpha + x_i' beta + || x_i V ||-type interaction (factorisation machine, Rendle 2010)
Presence comes from eDNA surveys; covariates are pond area, pH, shade, fish, distance to forest, altitude, age.
"""
import numpy as np
import torch
import torch.nn.functional as F

torch.manual_seed(2)
np.random.seed(2)

NAMES = ["log area", "pH", "shade", "fish", "forest distance", "altitude", "pond age"]


def survey(n):
    X = np.column_stack([
        np.random.normal(5.5, 1.0, n),               # log m2
        np.random.normal(6.8, 0.7, n),
        np.random.beta(2, 3, n),
        np.random.binomial(1, 0.35, n),
        np.random.gamma(2.0, 150.0, n),              # m
        np.random.gamma(3.0, 120.0, n),              # m a.s.l.
        np.random.exponential(25.0, n),              # years
    ])
    Z = (X - X.mean(0)) / X.std(0)
    eta = -0.9 + 0.7 * Z[:, 0] - 1.1 * Z[:, 3] - 0.9 * Z[:, 4] - 0.5 * Z[:, 5]
    eta = eta + 0.9 * Z[:, 0] * Z[:, 3] - 0.8 * Z[:, 1] * Z[:, 2] + 0.6 * Z[:, 4] * Z[:, 6]
    y = np.random.binomial(1, 1.0 / (1.0 + np.exp(-1.4 * eta)))
    return X, y


def logit(X, alpha, beta, V):
    """Interaction sum_{j<k} <v_j, v_k> x_j x_k in O(d r)."""
    XV = X @ V
    inter = 0.5 * (XV.pow(2) - X.pow(2) @ V.pow(2)).sum(1)
    return alpha + X @ beta + inter


def penalised_nll(theta, X, y, lam):
    alpha, beta, V = theta
    nll = F.binary_cross_entropy_with_logits(logit(X, alpha, beta, V), y)
    return nll + lam * (beta.pow(2).sum() + V.pow(2).sum())


def auc(score, y):
    """Mann-Whitney form: U / (n1 n0), with U from the rank sum of the occupied ponds."""
    ranks = np.argsort(score) + 1
    n1 = y.sum()
    n0 = len(y) - n1
    U = ranks[y == 1].sum() - n1 * (n1 + 1) / 2
    return U / (n1 * n0)


def fit(X, y, rank, lr, batch, n_epochs, lam):
    d = X.shape[1]
    theta = [torch.zeros(1), torch.zeros(d), 0.1 * torch.randn(d, rank)]
    for p in theta:
        p.requires_grad_(True)
    optimizer = torch.optim.Adam(theta, lr=lr)
    for epoch in range(n_epochs):
        total = 0.0
        for rows in torch.randperm(len(y)).split(batch):
            loss = penalised_nll(theta, X[rows], y[rows], lam)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rows)
        if (epoch + 1) % 10 == 0:
            print(f"epoch {epoch + 1:3d}  penalised nll {total / len(y):.4f}")
    return [p.detach() for p in theta]


X, y = survey(3000)
X_tr, X_te, y_tr, y_te = X[:2200], X[2200:], y[:2200], y[2200:]
mu, sd = X_tr.mean(0), X_tr.std(0)
X_tr, X_te = (torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (X_tr, X_te))
print(f"{len(y_tr)} ponds for estimation, {y_tr.mean():.3f} occupied; {len(y_te)} held out")

theta = fit(X_tr, torch.tensor(y_tr, dtype=torch.float32), rank=4, lr=1e-2, batch=64, n_epochs=40, lam=1e-4)

for name, b in zip(NAMES, theta[1].tolist()):
    print(f"  {name:16s} {b:+.3f}")
score = logit(X_te, *theta).numpy()
print(f"held-out AUC {auc(score, y_te):.4f}")
