"""Sequential job search (McCall 1970) with multi-attribute offers, solved by neural fitted Q iteration.

An unemployed worker draws one offer per period. An offer is a vector of attributes; its worth is only known
once the contract is signed. Accepting means holding the job for good, refusing means benefits and a new draw.
"""
import copy
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(1970)
rng = np.random.default_rng(1970)

D_OFFER = 6        # pay scale, hours, commute, shift work, tenure clause, firm size
B_BENEFIT = 0.10   # replacement income per period, in units of the best wage
T_LIFE = 60        # periods of working life in the simulated cohort


def draw_offers(n, rng):
    """Offers X (n, D) and the net wage each would pay, w in (0, 1)."""
    X = rng.standard_normal((n, D_OFFER))
    index = 1.1 * X[:, 0] - 0.6 * np.abs(X[:, 1]) + 0.5 * X[:, 2] * X[:, 3] + 0.4 * np.tanh(2 * X[:, 4])
    w = 1.0 / (1.0 + np.exp(-index))
    return X.astype(np.float32), w.astype(np.float32)


def market_survey(n, rng, sigma_w=0.05):
    """One row per observed worker-period: offer, wage if taken (with survey noise), next offer."""
    X, w = draw_offers(n, rng)
    X_next, _ = draw_offers(n, rng)
    w_obs = w + sigma_w * rng.standard_normal(n).astype(np.float32)
    return [torch.from_numpy(a.astype(np.float32)) for a in (X, w_obs, X_next)]


class ActionValue(nn.Module):
    """Q(x, a), a in {search, accept}, expressed as an annuity (per-period equivalents)."""

    def __init__(self, d, width):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(d, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh())
        self.out = nn.Linear(width, 2)

    def forward(self, x):
        return self.out(self.body(x))


def bellman_targets(Q_bar, w, X_next, rho, benefit):
    """Annuity form of the Bellman equation, beta = 1 / (1 + rho)."""
    beta = 1.0 / (1.0 + rho)
    with torch.no_grad():
        continuation = Q_bar(X_next).max(dim=1).values
    search = (1.0 - beta) * benefit + beta * continuation
    return torch.stack([search, w], dim=1)


def make_closure(Q, Q_bar, optimizer, batch, rho, benefit):
    X, w, X_next = batch

    def closure():
        optimizer.zero_grad()
        Y = bellman_targets(Q_bar, w, X_next, rho, benefit)
        loss = ((Q(X) - Y) ** 2).sum(dim=1).mean()
        loss.backward()
        return loss

    return closure


def fit(data, n_steps, batch, eta, rho, benefit, sync, width):
    Q = ActionValue(D_OFFER, width)
    Q_bar = copy.deepcopy(Q)
    optimizer = torch.optim.Adam(Q.parameters(), lr=eta)
    n = len(data[0])
    for k in range(n_steps):
        rows = torch.randint(0, n, (batch,))
        loss = optimizer.step(make_closure(Q, Q_bar, optimizer, [a[rows] for a in data], rho, benefit))
        if (k + 1) % sync == 0:
            Q_bar.load_state_dict(Q.state_dict())
        if (k + 1) % 500 == 0:
            print(f"step {k + 1:5d}  Bellman residual {loss.item():.4f}")
    return Q


def simulate_cohort(policy, n_workers, rng):
    """Average income per period over a working life, and the mean spell of search."""
    income = np.zeros(n_workers)
    employed = np.zeros(n_workers, dtype=bool)
    wage = np.zeros(n_workers)
    spell = np.zeros(n_workers)
    for t in range(T_LIFE):
        X, w = draw_offers(n_workers, rng)
        take = policy(torch.from_numpy(X)) & ~employed
        wage[take] = w[take]
        employed |= take
        spell += ~employed
        income += np.where(employed, wage, B_BENEFIT)
    return income.mean() / T_LIFE, spell.mean()


def greedy(Q):
    def policy(X):
        with torch.no_grad():
            return (Q(X).argmax(dim=1) == 1).numpy()
    return policy


survey = market_survey(6000, rng)
Q = fit(survey, n_steps=1500, batch=128, eta=2e-3, rho=0.05, benefit=B_BENEFIT, sync=10, width=48)

coin, _ = simulate_cohort(lambda X: rng.random(len(X)) < 0.5, 3000, rng)
income, spell = simulate_cohort(greedy(Q), 3000, rng)
print(f"coin-flip worker: {coin:.3f}")
print(f"mean search spell {spell:.2f} periods")
print(f"lifetime income per period {income:.4f}")
