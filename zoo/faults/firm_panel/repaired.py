"""Forecasting quarterly sales growth in a balanced panel of N firms over T quarters.

   y_it = a_i + s_i,q(t) + phi_i y_i,t-1 + psi_i y_i,t-2 + threshold term + e_it
The pooled network replaces the linear AR(p): one set of weights for all firms, p lags in, next quarter out.
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(5)
rng = np.random.default_rng(5)

N, T, P_LAGS, T_SPLIT = 150, 88, 8, 68


def collect_panel(N, T, burn=40):
    """Statistical office format: one record (firm, quarter, y) per line, sorted by firm, then by quarter."""
    records = []
    for i in range(N):
        a, phi, psi = rng.normal(0, 1.0), rng.uniform(0.5, 0.8), rng.uniform(-0.7, -0.3)
        season = rng.normal(0, 0.6, 4)
        y = np.zeros(T + burn)
        for t in range(2, T + burn):
            regime = 0.6 * np.tanh(3.0 * y[t - 1]) * (y[t - 2] < 0)
            y[t] = phi * y[t - 1] + psi * y[t - 2] + regime + season[t % 4] + 0.35 * rng.standard_normal()
        records.extend((i, t, a + y[burn + t]) for t in range(T))
    return np.array(records)


def wide(records, N, T):
    """Matrix Y (T, N): quarters in rows, firms in columns."""
    y = records[:, 2]
    Y = y.reshape(N, T).T
    return Y


def within(Y, t_split):
    """Within transformation and unit variance, moments of each firm from the estimation sample."""
    mu, sd = Y[:t_split].mean(0), Y[:t_split].std(0)
    return (Y - mu) / sd


def lag_matrix(Y, p, t_from, t_to):
    """Stack z_it = (y_i,t-p ... y_i,t-1) and its target y_it for all firms, t in [t_from, t_to)."""
    Z = np.concatenate([Y[t - p:t].T for t in range(t_from, t_to)])
    target = np.concatenate([Y[t] for t in range(t_from, t_to)])
    return torch.tensor(Z, dtype=torch.float32), torch.tensor(target, dtype=torch.float32)


class PooledAR(nn.Module):
    """Linear autoregression plus a one-hidden-layer correction."""

    def __init__(self, p, width):
        super().__init__()
        self.linear = nn.Linear(p, 1)
        self.hidden = nn.Linear(p, width)
        self.v = nn.Linear(width, 1, bias=False)

    def forward(self, z):
        return (self.linear(z) + self.v(torch.tanh(self.hidden(z)))).squeeze(-1)


def r_squared(model, Z, y):
    model.eval()
    with torch.no_grad():
        e = y - model(Z)
    return 1.0 - (e.pow(2).sum() / (y - y.mean()).pow(2).sum()).item()


records = collect_panel(N, T)
Y = within(wide(records, N, T), T_SPLIT)
Z_est, y_est = lag_matrix(Y, P_LAGS, P_LAGS, T_SPLIT)
Z_out, y_out = lag_matrix(Y, P_LAGS, T_SPLIT, T)
print(f"panel {Y.shape[0]} quarters x {Y.shape[1]} firms, {len(y_est)} estimation rows, {len(y_out)} out of sample")

model = PooledAR(P_LAGS, width=32)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
B = 100
for sweep in range(16):
    model.train()
    perm = torch.randperm(len(y_est))
    sse = 0.0
    for k in range(0, len(perm), B):
        rows = perm[k:k + B]
        loss = (model(Z_est[rows]) - y_est[rows]).pow(2).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sse += loss.item() * len(rows)
    if sweep % 4 == 3:
        print(f"sweep {sweep + 1:2d}  mean squared residual {sse / len(perm):.4f}")

print(f"in-sample R2 {r_squared(model, Z_est, y_est):.4f}")
print(f"out-of-sample R2 {r_squared(model, Z_out, y_out):.4f}")
