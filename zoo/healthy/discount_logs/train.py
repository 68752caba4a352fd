"""Learn whom to offer which discount from the log of an old policy (inverse propensities, self-normalised)."""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(66)
torch.manual_seed(66)
OFFERS, FEATURES = 4, 6

taste = rng.normal(0, 1.0, (FEATURES, OFFERS))
bend = rng.normal(0, 0.8, (FEATURES, OFFERS))


def profit(x):
    """Mean profit of each offer to each customer."""
    return np.tanh(0.6 * (x @ taste + (x**2 - 1) @ bend) / np.sqrt(FEATURES) * 2)


def log_of_old_policy(n):
    x = rng.normal(0, 1, (n, FEATURES))
    score = 0.8 * x[:, :OFFERS]
    p = np.exp(score) / np.exp(score).sum(1, keepdims=True)
    p = 0.2 / OFFERS + 0.8 * p
    a = (p.cumsum(1) < rng.random((n, 1))).sum(1).clip(max=OFFERS - 1)
    r = profit(x)[np.arange(n), a] + rng.normal(0, 0.5, n)
    as_float = lambda v: torch.tensor(v, dtype=torch.float32)
    return as_float(x), torch.tensor(a), as_float(r), as_float(p[np.arange(n), a])


X, A, R, P = log_of_old_policy(6000)
fresh = rng.normal(0, 1, (3000, FEATURES))
truth = torch.tensor(profit(fresh), dtype=torch.float32)
fresh = torch.tensor(fresh, dtype=torch.float32)

policy = nn.Sequential(
    nn.Linear(FEATURES, 48), nn.ReLU(), nn.Dropout(0.1), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, OFFERS)
)
optimizer = torch.optim.AdamW(policy.parameters(), lr=2e-3, weight_decay=0.02)
baseline = R.mean()
print(f"old policy {R.mean():.3f}, best possible {truth.max(1).values.mean():.3f}")
for epoch in range(1, 13):
    policy.train()
    estimates = []
    for rows in torch.randperm(len(X)).split(200):
        logits = policy(X[rows])
        pi = logits.softmax(1)
        chosen = pi.gather(1, A[rows, None]).squeeze(1)
        weight = (chosen / P[rows]).clamp(max=8.0)
        value = (weight * (R[rows] - baseline)).sum() / weight.sum()
        entropy = -(pi * logits.log_softmax(1)).sum(1).mean()
        objective = value + 0.02 * entropy
        optimizer.zero_grad()
        (-objective).backward()
        optimizer.step()
        estimates.append((value + baseline).item())
    if epoch % 2 == 0:
        policy.eval()
        with torch.no_grad():
            offer = policy(fresh).argmax(1)
        gained = truth.gather(1, offer[:, None]).mean()
        print(f"epoch {epoch} estimate from the log {np.mean(estimates):.3f} profit with new customers {gained:.3f}")
