"""Matching frond morphology to genetic markers in a fern collection.

Each specimen has a vector of morphometric ratios (X) and a panel of allele dosages (G). Both are noisy images of
the same ancestry vector, so a pair of encoders should place the two descriptions of one plant close together.
Pairwise sigmoid objective: every cell of the similarity matrix is one matched / unmatched decision.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(8)
np.random.seed(8)


def simulate_herbarium(n, d_ancestry, d_morph, d_markers, sigma):
    A = np.random.randn(n, d_ancestry)
    L_m = np.random.randn(d_ancestry, d_morph) / np.sqrt(d_ancestry)
    L_g = np.random.randn(d_ancestry, d_markers) / np.sqrt(d_ancestry)
    X = np.tanh(A @ L_m) + sigma * np.random.randn(n, d_morph)
    p = 1.0 / (1.0 + np.exp(-2.0 * A @ L_g))
    G = np.random.binomial(8, p).astype(float)        # octoploid dosages
    return X, G


def zscore(train, other):
    mu, sd = train.mean(0), train.std(0) + 1e-8
    return [torch.tensor((a - mu) / sd, dtype=torch.float32) for a in (train, other)]


class Encoder(nn.Module):
    def __init__(self, d_in, d_hidden, d_out):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(d_in, d_hidden), nn.GELU(), nn.Linear(d_hidden, d_hidden), nn.GELU(),
                                 nn.Linear(d_hidden, d_out))

    def forward(self, x):
        return F.normalize(self.net(x), dim=1)


class PairwiseSigmoid(nn.Module):
    """-1/n sum_ij log sigma( Y_ij (s <u_i, v_j> + b) ), s and b learned."""

    def __init__(self, s0=10.0, b0=-5.0):
        super().__init__()
        self.log_s = nn.Parameter(torch.tensor(float(np.log(s0))))
        self.b = nn.Parameter(torch.tensor(b0))

    def forward(self, U, V):
        n = U.shape[0]
        logits = self.log_s.exp() * (U @ V.T) + self.b
        Y = torch.eye(n)
        return -F.logsigmoid(Y * logits).sum() / n


class MatchTrainer:
    def __init__(self, enc_x, enc_g, criterion, lr, batch):
        self.enc_x, self.enc_g, self.criterion, self.batch = enc_x, enc_g, criterion, batch
        params = list(enc_x.parameters()) + list(enc_g.parameters()) + list(criterion.parameters())
        self.opt = torch.optim.Adam(params, lr=lr)

    def epoch(self, X, G):
        self.enc_x.train(), self.enc_g.train()
        order = torch.randperm(len(X))
        total, n_b = 0.0, 0
        for k in range(0, len(X) - self.batch + 1, self.batch):
            rows = order[k:k + self.batch]
            loss = self.criterion(self.enc_x(X[rows]), self.enc_g(G[rows]))
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            total, n_b = total + loss.item(), n_b + 1
        return total / n_b

    @torch.no_grad()
    def recall(self, X, G, k):
        """Share of specimens whose own marker panel is among the k nearest."""
        self.enc_x.eval(), self.enc_g.eval()
        S = self.enc_x(X) @ self.enc_g(G).T
        best = S.topk(k, dim=1).indices
        return (best == torch.arange(len(X))[:, None]).any(1).float().mean().item()


X, G = simulate_herbarium(n=2300, d_ancestry=8, d_morph=24, d_markers=40, sigma=0.15)
X_tr, X_te = zscore(X[:2000], X[2000:])
G_tr, G_te = zscore(G[:2000], G[2000:])

trainer = MatchTrainer(Encoder(24, 96, 16), Encoder(40, 96, 16), PairwiseSigmoid(), lr=1e-3, batch=100)
for ep in range(20):
    loss = trainer.epoch(X_tr, G_tr)
    if ep % 5 == 4:
        print(f"epoch {ep + 1:2d}  objective {loss:.4f}  recall@1 {trainer.recall(X_te, G_te, 1):.3f}")

print("chance recall@1", round(1 / len(X_te), 4))
print(f"held-out recall@1 {trainer.recall(X_te, G_te, 1):.4f}")
