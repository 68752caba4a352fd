"""Along-fjord current at a mooring: dilated causal filters as a nonlinear generalisation of the FIR predictor.

u(t) = tide (M2, S2, M4) + wind-driven seiche + red noise, hourly. The filter bank is estimated on one-step errors at
every hour of a segment, then iterated to give a forecast for the next hours.
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(64)
np.random.seed(64)


def mooring_record(n_hours):
    t = np.arange(n_hours)
    u = 0.9 * np.cos(2 * np.pi * t / 12.42) + 0.35 * np.cos(2 * np.pi * t / 12.0 + 0.7)
    u = u + 0.25 * np.sin(2 * np.pi * t / 6.21) * (1 + 0.3 * np.cos(2 * np.pi * t / 327.0))
    seiche, red = np.zeros(n_hours), np.zeros(n_hours)
    kick = 0.22 * np.random.randn(n_hours)
    for k in range(2, n_hours):
        seiche[k] = 1.70 * seiche[k - 1] - 0.90 * seiche[k - 2] + kick[k]
        red[k] = 0.8 * red[k - 1] + 0.06 * np.random.randn()
    return u + 0.6 * np.tanh(seiche) + red


def segments(u, length, stride):
    """Overlapping segments, (n, length + 1)."""
    return torch.stack([u[k:k + length + 1] for k in range(0, len(u) - length, stride)])


def init_filters(n_layers, channels, k):
    """Kernels K_l and gains, uniform with the usual fan-in bound."""
    theta, c_in = [], 1
    for _ in range(n_layers):
        bound = 1.0 / math.sqrt(c_in * k)
        theta.append(nn.Parameter(torch.empty(channels, c_in, k).uniform_(-bound, bound)))
        theta.append(nn.Parameter(torch.zeros(channels)))
        c_in = channels
    bound = 1.0 / math.sqrt(channels)
    theta.append(nn.Parameter(torch.empty(1, channels, 1).uniform_(-bound, bound)))
    theta.append(nn.Parameter(torch.zeros(1)))
    return theta


def causal_filter(x, K, b, dilation):
    pad = (K.shape[2] - 1) * dilation
    y = F.conv1d(x, K, b, padding=pad, dilation=dilation)
    return y[:, :, pad:]


def predict(theta, u):
    """One-step prediction u_hat(t + 1) for every t of u (n, length)."""
    h = u[:, None, :]
    for l in range(len(theta) // 2 - 1):
        g = torch.tanh(causal_filter(h, theta[2 * l], theta[2 * l + 1], dilation=2 ** l))
        h = g if l == 0 else h + g
    return F.conv1d(h, theta[-2], theta[-1])[:, 0]


def iterate(theta, past, n_ahead):
    """Feed predictions back, the record known up to the last hour of past."""
    with torch.no_grad():
        for _ in range(n_ahead):
            nxt = predict(theta, past)[:, -1:]
            past = torch.cat([past, nxt], dim=1)
    return past[:, -n_ahead:]


def estimate(theta, Z, n_epochs, batch, lr):
    optimizer = torch.optim.Adam(theta, lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, n_epochs)
    for epoch in range(n_epochs):
        errors = []
        for rows in torch.randperm(len(Z)).split(batch):
            loss = F.mse_loss(predict(theta, Z[rows, :-1]), Z[rows, 1:])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            errors.append(loss.item())
        schedule.step()
        if (epoch + 1) % 4 == 0:
            print(f"epoch {epoch + 1:2d}  one-step error {np.mean(errors):.4f}")


LENGTH, AHEAD = 64, 3
u = mooring_record(6000)
u_est, u_new = u[:4800], u[4800:]
m, s = u_est.mean(), u_est.std()
u_est, u_new = (torch.tensor((a - m) / s, dtype=torch.float32) for a in (u_est, u_new))

theta = init_filters(n_layers=4, channels=16, k=3)
estimate(theta, segments(u_est, LENGTH, 4), n_epochs=12, batch=32, lr=3e-3)

hours = range(0, len(u_new) - LENGTH - AHEAD, 5)
past = torch.stack([u_new[k:k + LENGTH] for k in hours])
truth = torch.stack([u_new[k + LENGTH:k + LENGTH + AHEAD] for k in hours])
skill = lambda f: 1.0 - ((truth - f) ** 2).mean().item() / truth.var().item()
print(f"persistence skill {skill(past[:, -1:].expand(-1, AHEAD)):.4f}")
print(f"forecast skill {skill(iterate(theta, past, AHEAD)):.4f}")
