"""Reservoir computing for a Langmuir probe: recover the probe current from the record of the drive voltage.

The sheath answers with a nonlinear memory of about ten samples (NARMA form). The recurrent part W is random and
fixed, scaled to a chosen spectral radius rho; only the read-out is estimated (Jaeger 2001, Lukosevicius 2012).
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(31)
np.random.seed(31)


def probe_record(n, order=10):
    v = np.random.uniform(0, 0.5, n)
    i = np.zeros(n)
    for t in range(order, n - 1):
        i[t + 1] = 0.3 * i[t] + 0.05 * i[t] * i[t - order + 1:t + 1].sum() + 1.5 * v[t - order + 1] * v[t] + 0.1
    return v.astype(np.float32), i.astype(np.float32)


def make_reservoir(n_units, rho, gain, density):
    """x(t) = tanh(W x(t-1) + w_in v(t) + b), nothing here is trained."""
    rnn = nn.RNN(1, n_units, nonlinearity="tanh", batch_first=True)
    W = torch.randn(n_units, n_units) * (torch.rand(n_units, n_units) < density)
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(rho * W / torch.linalg.eigvals(W).abs().max())
        rnn.weight_ih_l0.uniform_(-gain, gain)
        rnn.bias_ih_l0.uniform_(-0.2, 0.2)
        rnn.bias_hh_l0.zero_()
    return rnn.requires_grad_(False)


def states(rnn, v, washout):
    X, _ = rnn(v[None, :, None])
    return X[0, washout:]


def init_readout(n_in, n_hidden):
    """Theta = (A, a, c, c0) for i_hat = c' tanh(A x + a) + skip' x + c0."""
    shape = dict(A=(n_hidden, n_in), a=(n_hidden,), c=(1, n_hidden), skip=(1, n_in), c0=(1,))
    theta = {k: torch.zeros(s) for k, s in shape.items()}
    theta["A"].normal_(0, n_in ** -0.5)
    theta["c"].normal_(0, n_hidden ** -0.5)
    return {k: p.requires_grad_() for k, p in theta.items()}


def readout(X, A, a, c, skip, c0):
    return (F.linear(torch.tanh(F.linear(X, A, a)), c, c0) + F.linear(X, skip)).squeeze(1)


def loss_fn(theta, X, y, ridge):
    penalty = sum(theta[k].pow(2).sum() for k in ("A", "c", "skip"))
    return F.mse_loss(readout(X, **theta), y) + ridge * penalty


def nrmse(theta, X, y):
    with torch.no_grad():
        e = readout(X, **theta) - y
    return (e.pow(2).mean() / y.var()).sqrt().item()


N, WASHOUT, N_TRAIN = 5200, 200, 4000
v, i = probe_record(N)
v_t = torch.from_numpy((v - v.mean()) / v.std())

rnn = make_reservoir(n_units=120, rho=0.9, gain=0.3, density=0.2)
X = states(rnn, v_t[:-1], WASHOUT)
y = torch.from_numpy(i[WASHOUT + 1:])

mu, sd = X[:N_TRAIN].mean(0), X[:N_TRAIN].std(0)
X = (X - mu) / sd
y = (y - y[:N_TRAIN].mean()) / y[:N_TRAIN].std()
X_tr, y_tr, X_te, y_te = X[:N_TRAIN], y[:N_TRAIN], X[N_TRAIN:], y[N_TRAIN:]

theta = init_readout(X.shape[1], 48)
optimizer = torch.optim.Adam(theta.values(), lr=2e-3)
n_epochs, batch = 40, 50
annealing = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
for epoch in range(n_epochs):
    total = 0.0
    for rows in torch.randperm(N_TRAIN).split(batch):
        loss = loss_fn(theta, X_tr[rows], y_tr[rows], ridge=1e-5)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(rows)
    annealing.step()
    if epoch % 8 == 7:
        print(f"epoch {epoch + 1:2d}  loss {total / N_TRAIN:.4f}")

print(f"train nrmse {nrmse(theta, X_tr, y_tr):.4f}  (the mean current scores 1)")
print(f"test nrmse {nrmse(theta, X_te, y_te):.4f}")
