"""Federated learning with personal heads: every district keeps its own head, only the shared body is averaged.

All districts train at once with vmap over torch.func.grad; no optimizer object and no .grad anywhere.
"""
import torch
import torch.nn as nn
from torch.func import functional_call, grad, vmap

torch.manual_seed(64)
torch.set_grad_enabled(False)
DISTRICTS, VISITS, FEATURES = 16, 150, 12


def district_data(n):
    """Minutes a home visit takes: common hidden factors, but each district weighs them in its own manner."""
    x = torch.randn(DISTRICTS, n, FEATURES, generator=gen) + 0.5 * offset
    u = x @ factors
    hidden = torch.stack([torch.sin(1.5 * u[..., 0]), torch.relu(u[..., 1]), u[..., 2] * u[..., 3] / 1.5, torch.tanh(2 * u[..., 4])], -1)
    minutes = 25 + 6 * (hidden * taste).sum(-1) + level + 1.5 * torch.randn(DISTRICTS, n, generator=gen)
    return x, minutes


gen = torch.Generator().manual_seed(64)
offset = torch.randn(DISTRICTS, 1, FEATURES, generator=gen)
factors = torch.linalg.qr(torch.randn(FEATURES, 5, generator=gen))[0]
taste = torch.randn(DISTRICTS, 1, 4, generator=gen)
level = 8 * torch.randn(DISTRICTS, 1, generator=gen)
(x_tr, y_tr), (x_te, y_te) = district_data(VISITS), district_data(400)

# Every district standardizes at home; no statistic leaves it.
mx, sx = x_tr.mean(1, keepdim=True), x_tr.std(1, keepdim=True)
my, sy = y_tr.mean(1, keepdim=True), y_tr.std(1, keepdim=True)
x_tr, x_te, y_tr, y_te = (x_tr - mx) / sx, (x_te - mx) / sx, (y_tr - my) / sy, (y_te - my) / sy

body = nn.Sequential(nn.Linear(FEATURES, 64), nn.Tanh(), nn.Linear(64, 32), nn.Tanh())
head = nn.Linear(32, 1)


def predict(body_p, head_p, x):
    return functional_call(head, head_p, functional_call(body, body_p, x)).squeeze(-1)


def loss_fn(both, x, y):
    body_p, head_p = both
    return (predict(body_p, head_p, x) - y).pow(2).mean()


def descend(params, grads, lr):
    return {k: p - lr * grads[k] for k, p in params.items()}


def spread(params):
    return {k: p.expand(DISTRICTS, *p.shape).clone() for k, p in params.items()}


def visits_order():
    return torch.rand(DISTRICTS, VISITS).argsort(1)


def local_round(shared, heads, lr, epochs=2, batch=25):
    bodies = spread(shared)
    step = vmap(grad(loss_fn))
    for _ in range(epochs):
        for pick in visits_order().split(batch, dim=1):
            x = x_tr.gather(1, pick[..., None].expand(-1, -1, FEATURES))
            y = y_tr.gather(1, pick)
            g_body, g_head = step((bodies, heads), x, y)
            bodies, heads = descend(bodies, g_body, lr), descend(heads, g_head, lr)
    return bodies, heads


def errors(bodies, heads, x, y):
    return (vmap(predict)(bodies, heads, x) - y).pow(2).mean(1)


def federated(rounds=220, lr=0.1, beta=0.9):
    shared = {k: p.clone() for k, p in body.named_parameters()}
    heads = {k: torch.zeros(DISTRICTS, *p.shape) for k, p in head.named_parameters()}
    velocity = {k: torch.zeros_like(p) for k, p in shared.items()}
    for r in range(rounds):
        rate = lr * (1 - 0.9 * r / rounds)
        take_part = (torch.rand(DISTRICTS) < 0.6)
        take_part[torch.randint(DISTRICTS, ())] = True
        bodies, trained = local_round(shared, heads, rate)
        heads = {k: torch.where(take_part.view(-1, *[1] * (p.dim() - 1)), trained[k], p) for k, p in heads.items()}
        for k in shared:                       # server momentum on the average change of those who took part
            change = bodies[k][take_part].mean(0) - shared[k]
            velocity[k] = beta * velocity[k] + (1 - beta) * change
            shared[k] = shared[k] + velocity[k]
        if r % 40 == 39:
            fit = errors(spread(shared), heads, x_tr, y_tr).mean()
            print(f"round {r + 1:3d}  {int(take_part.sum()):2d} districts  training error {fit:.3f}")
    return errors(spread(shared), heads, x_te, y_te)


def ridge_alone():
    ones = lambda x: torch.cat([x, torch.ones(*x.shape[:2], 1)], -1)
    a, eye = ones(x_tr), 1.0 * torch.eye(FEATURES + 1)
    w = torch.linalg.solve(a.mT @ a + eye, a.mT @ y_tr[..., None])
    return ((ones(x_te) @ w).squeeze(-1) - y_te).pow(2).mean(1)


fed, alone = federated(), ridge_alone()
better = int((fed < alone).sum())
print(f"held-out error (1.0 = each district's mean): federated {fed.mean():.3f}, ridge at home {alone.mean():.3f}, "
      f"better in {better} of {DISTRICTS}")
