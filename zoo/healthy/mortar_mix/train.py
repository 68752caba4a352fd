"""Compressive strength of mortar from its recipe. Everything by hand: weights, momentum, decay, schedule."""
import math

import numpy as np
import torch

rng = np.random.default_rng(17)
torch.manual_seed(17)

# ----- recipes -----
n = 1600
cement = rng.uniform(150, 500, n)  # kg per cubic metre
water = rng.uniform(120, 240, n)
ash = np.where(rng.random(n) < 0.5, 0.0, rng.uniform(20, 180, n))
days = np.exp(rng.uniform(0, np.log(120), n))
sand = rng.uniform(600, 950, n)
ratio = (cement + 0.4 * ash) / water
strength = 22 * ratio * (np.log1p(days) / np.log1p(28)) ** 0.7 - 0.00015 * (sand - 780) ** 2
strength += rng.normal(0, 2.0, n)
recipes = np.stack([cement, water, ash, np.log(days), sand], 1)

x = torch.tensor(recipes, dtype=torch.float32)
y = torch.tensor(strength, dtype=torch.float32).unsqueeze(1)
x_train, x_test = x[:1200], x[1200:]
y_train, y_test = y[:1200], y[1200:]
mu, sigma = x_train.mean(0), x_train.std(0)
x_train, x_test = (x_train - mu) / sigma, (x_test - mu) / sigma
y_mu, y_sigma = y_train.mean(), y_train.std()
t_train = (y_train - y_mu) / y_sigma

# ----- weights -----
sizes = [5, 40, 40, 1]
weights = [(torch.randn(a, b) * math.sqrt(1 / a)).requires_grad_() for a, b in zip(sizes, sizes[1:])]
biases = [torch.zeros(b, requires_grad=True) for b in sizes[1:]]
theta = weights + biases
velocity = [torch.zeros_like(p) for p in theta]


def net(h):
    for w, b in zip(weights[:-1], biases[:-1]):
        h = torch.tanh(h @ w + b)
    return h @ weights[-1] + biases[-1]


# ----- training -----
epochs, batch, top_rate, mu_v, decay = 40, 50, 0.05, 0.9, 1e-4
steps = epochs * len(x_train) // batch
step = 0
for epoch in range(epochs):
    perm = torch.randperm(len(x_train))
    total = 0.0
    for i in range(0, len(perm), batch):
        idx = perm[i : i + batch]
        loss = ((net(x_train[idx]) - t_train[idx]) ** 2).mean()
        grads = torch.autograd.grad(loss, theta)
        rate = top_rate * 0.5 * (1 + math.cos(math.pi * step / steps))
        with torch.no_grad():
            for p, v, g in zip(theta, velocity, grads):
                if p.dim() == 2:
                    g = g + decay * p
                v.mul_(mu_v).add_(g)
                p.sub_(rate * v)
        step += 1
        total += loss.item()
    if epoch % 8 == 7:
        with torch.no_grad():
            off = (net(x_test) * y_sigma + y_mu - y_test).pow(2).mean().sqrt()
        print(f"epoch {epoch + 1} train mse {total * batch / len(perm):.4f} test rmse {off:.2f} MPa of {y_test.std():.2f}")
