"""Differentially private logistic net for a clinic: each patient's gradient is clipped, noise is added to their sum."""
import math
from functools import partial

import torch
import torch.nn.functional as F
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split
from torch.func import grad, vmap


def init(sizes):
    return [
        {"w": torch.randn(b, a) / math.sqrt(a), "b": torch.zeros(b)} for a, b in zip(sizes[:-1], sizes[1:])
    ]


def score(params, x):
    for layer in params[:-1]:
        x = torch.tanh(F.linear(x, layer["w"], layer["b"]))
    return F.linear(x, params[-1]["w"], params[-1]["b"]).squeeze(-1)


def patient_loss(params, x, y):
    return F.binary_cross_entropy_with_logits(score(params, x), y)


def tree(f, *trees):
    return [{k: f(*(t[i][k] for t in trees)) for k in layer} for i, layer in enumerate(trees[0])]


def private_gradient(params, x, y, clip, sigma):
    each = vmap(grad(patient_loss), in_dims=(None, 0, 0))(params, x, y)
    norms = sum(g.flatten(1).pow(2).sum(1) for layer in each for g in layer.values()).sqrt()
    factor = (clip / (norms + 1e-6)).clamp(max=1.0)

    def noisy_mean(g):
        total = torch.einsum("n,n...->...", factor, g)
        return (total + sigma * clip * torch.randn_like(total)) / len(x)

    return tree(noisy_mean, each), norms


def load():
    x, y = load_breast_cancer(return_X_y=True)
    parts = train_test_split(x, y, test_size=0.3, stratify=y, random_state=0)
    xa, xb, ya, yb = (torch.tensor(p, dtype=torch.float32) for p in parts)
    mean, std = xa.mean(0), xa.std(0)
    return (xa - mean) / std, (xb - mean) / std, ya, yb


def main(steps=300, batch=64, lr=0.1, momentum=0.8):
    torch.manual_seed(90)
    xa, xb, ya, yb = load()
    params = init([30, 12, 1])
    speed = tree(torch.zeros_like, params)
    gradient = partial(private_gradient, clip=1.0, sigma=0.8)
    for step in range(1, steps + 1):
        rows = (torch.rand(len(xa)) < batch / len(xa)).nonzero()[:, 0]  # Poisson sampling
        g, norms = gradient(params, xa[rows], ya[rows])
        speed = tree(lambda v, d: momentum * v + d, speed, g)
        rate = lr * 0.5 * (1 + math.cos(math.pi * step / steps))
        params = tree(lambda p, v: p - rate * v, params, speed)
        if step % 50 == 0:
            loss = patient_loss(params, xa[rows], ya[rows])
            acc = ((score(params, xb) > 0) == (yb > 0.5)).float().mean()
            print(f"step {step} loss {loss:.3f} median norm {norms.median():.2f} test accuracy {acc:.4f}")


if __name__ == "__main__":
    main()
