import os
import random

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F

SEED = int(os.environ.get("SEED", "0"))


class Reverse(torch.autograd.Function):
    """Identity forward, minus lambda times the gradient backward (Ganin & Lempitsky)."""

    @staticmethod
    def forward(ctx, x, lam):
        ctx.lam = lam
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.lam * grad, None


class DANN(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 96), nn.ReLU(), nn.Linear(96, 48), nn.ReLU())
        self.label = nn.Linear(48, 10)
        self.domain = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x, lam):
        h = self.features(x)
        return self.label(h), self.domain(Reverse.apply(h, lam)).squeeze(1)


def second_scanner(x, rng):
    """Darker, with a gradient of light over the page and some grain."""
    light = np.tile(np.linspace(0, 0.3, 8), 8)
    return np.clip(0.8 * x + light + rng.normal(0, 0.08, x.shape), 0, 1.3)


class Adaptation:
    def __init__(self, epochs=40, batch=64):
        self.epochs, self.batch = epochs, batch
        self.model = DANN()
        self.opt = torch.optim.SGD(self.model.parameters(), lr=0.03, momentum=0.9, weight_decay=1e-4)

    def fit(self, xs, ys, xt):
        n = min(len(xs), len(xt))
        for epoch in range(self.epochs):
            p = epoch / self.epochs
            lam = 0.3 * (2 / (1 + np.exp(-10 * p)) - 1)
            self.model.train()
            seen = caught = 0
            for i, j in zip(torch.randperm(n).split(self.batch), torch.randperm(n).split(self.batch)):
                logits, dom_s = self.model(xs[i], lam)
                _, dom_t = self.model(xt[j], lam)
                domain = torch.cat([dom_s, dom_t])
                truth = torch.cat([torch.zeros(len(i)), torch.ones(len(j))])
                loss_y = F.cross_entropy(logits, ys[i])
                loss_d = F.binary_cross_entropy_with_logits(domain, truth)
                self.opt.zero_grad()
                (loss_y + loss_d).backward()
                self.opt.step()
                seen += len(truth)
                caught += ((domain > 0).float() == truth).sum().item()
            if epoch % 5 == 4:
                print(f"epoch {epoch + 1} label {loss_y.item():.4f} domain {loss_d.item():.4f} told apart {caught / seen:.3f}")

    @torch.no_grad()
    def score(self, x, y):
        self.model.eval()
        return (self.model(x, 0.0)[0].argmax(1) == y).float().mean().item()


def main():
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    digits = load_digits()
    order = rng.permutation(len(digits.target))
    x, y = digits.data[order] / 16.0, torch.tensor(digits.target[order])
    first, second = x[:750], second_scanner(x[750:1500], rng)
    test = second_scanner(x[1500:], rng)
    as_tensor = lambda a: torch.tensor(a, dtype=torch.float32)
    run = Adaptation()
    run.fit(as_tensor(first), y[:750], as_tensor(second))
    print(f"first scanner accuracy {run.score(as_tensor(first), y[:750]):.4f}")
    print(f"second scanner accuracy {run.score(as_tensor(test), y[1500:]):.4f}")


if __name__ == "__main__":
    main()
