"""
Ripe or unripe, from the spectrometer. Fruit of the first orchard is labelled; the second orchard has another
device and no labels. A domain head with reversed gradients makes the features of both look the same.
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.autograd import Function

SEED = int(os.environ.get("SEED", "0"))


class Reverse(Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


class Net(nn.Module):
    def __init__(self, n_in=12, width=32):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(n_in, 48), nn.ReLU(), nn.Linear(48, width), nn.ReLU())
        self.ripe = nn.Sequential(nn.Linear(width, 16), nn.ReLU(), nn.Linear(16, 2))
        self.orchard = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x, strength=0.0):
        h = self.features(x)
        return self.ripe(h), self.orchard(Reverse.apply(h, strength)).squeeze(1)


def harvest(n, rng, second):
    ripe = rng.integers(0, 2, n)
    sign = 2 * ripe - 1
    x = rng.normal(0, 1, (n, 12))
    x[:, :6] += 0.75 * sign[:, None]
    # three bands tell the ripeness in the first orchard; the second device shifts them
    x[:, 6:9] += (np.full(n, 1.5) if second else 0.6 * sign)[:, None]
    return torch.tensor(x, dtype=torch.float32), torch.from_numpy(ripe)


def strength_at(progress):
    return 0.5 * (2.0 / (1.0 + np.exp(-10 * progress)) - 1.0)


def accuracy(net, x, y):
    net.eval()
    with torch.no_grad():
        score = (net(x)[0].argmax(1) == y).float().mean().item()
    net.train()
    return score


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    xs, ys = harvest(2000, rng, second=False)
    xt, _ = harvest(2000, rng, second=True)
    x_test, y_test = harvest(1000, rng, second=True)
    net = Net()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, weight_decay=1e-4)
    epochs, size = 24, 64
    steps = len(xs) // size
    for epoch in range(epochs):
        order_s, order_t = torch.randperm(len(xs)), torch.randperm(len(xt))
        label_sum = domain_sum = 0.0
        for i in range(steps):
            a, b = order_s[i * size:(i + 1) * size], order_t[i * size:(i + 1) * size]
            s = strength_at((epoch * steps + i) / (epochs * steps))
            out, dom = net(torch.cat([xs[a], xt[b]]), s)
            where = torch.cat([torch.zeros(size), torch.ones(size)])
            label_loss = F.cross_entropy(out[:size], ys[a])
            domain_loss = F.binary_cross_entropy_with_logits(dom, where)
            optimizer.zero_grad()
            (label_loss + domain_loss).backward()
            optimizer.step()
            label_sum, domain_sum = label_sum + label_loss.item(), domain_sum + domain_loss.item()
        if epoch % 3 == 2:
            print(f"epoch {epoch + 1:2d}  ripeness loss {label_sum / steps:.4f}  orchard loss {domain_sum / steps:.4f}  "
                  f"second orchard {accuracy(net, x_test, y_test):.4f}")
    print(f"accuracy in the second orchard {accuracy(net, x_test, y_test):.4f}")


if __name__ == "__main__":
    main()
