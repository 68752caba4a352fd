"""Digits seen by day are labelled, those of the night cameras are not: domain-adversarial training (DANN)."""
import math

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn import functional as F


class ReverseGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


class DANN(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.features = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, width), nn.ReLU())
        self.digit = nn.Linear(width, 10)
        self.domain = nn.Sequential(nn.Linear(width, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, x, strength=0.0):
        h = self.features(x)
        return self.digit(h), self.domain(ReverseGradient.apply(h, strength)).squeeze(1)


def night(images):
    """Lower contrast, a lamp that shines in from the left, sensor noise."""
    lamp = np.tile(np.linspace(0.35, 0.0, 8), (8, 1)).reshape(1, 64)
    return np.clip(0.65 * images + lamp + 0.05 * np.random.randn(*images.shape), 0, 1)


def accuracy(model, x, y):
    model.eval()
    with torch.no_grad():
        return (model(x)[0].argmax(1) == y).float().mean().item()


def main():
    torch.manual_seed(14)
    np.random.seed(14)
    data = load_digits()
    images, labels = data.data / 16.0, data.target
    order = np.random.permutation(len(images))
    day_idx, night_idx, test_idx = order[:800], order[800:1400], order[1400:]
    tensor = lambda a: torch.tensor(a, dtype=torch.float32)
    day_x, day_y = tensor(images[day_idx]), torch.tensor(labels[day_idx])
    night_x = tensor(night(images[night_idx]))
    test_x, test_y = tensor(night(images[test_idx])), torch.tensor(labels[test_idx])

    model = DANN()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    epochs, batch = 60, 64
    for epoch in range(epochs):
        model.train()
        strength = 0.15 * (2 / (1 + math.exp(-6 * epoch / epochs)) - 1)
        digit_sum, domain_sum, n = 0.0, 0.0, 0
        for idx in torch.randperm(len(day_x)).split(batch):
            other = torch.randint(len(night_x), (len(idx),))
            digit_out, day_domain = model(day_x[idx], strength)
            _, night_domain = model(night_x[other], strength)
            digit_loss = F.cross_entropy(digit_out, day_y[idx])
            domain_loss = 0.5 * (F.binary_cross_entropy_with_logits(day_domain, torch.ones(len(idx)))
                                 + F.binary_cross_entropy_with_logits(night_domain, torch.zeros(len(idx))))
            optimizer.zero_grad()
            (digit_loss + domain_loss).backward()
            optimizer.step()
            digit_sum, domain_sum, n = digit_sum + digit_loss.item(), domain_sum + domain_loss.item(), n + 1
        if epoch % 10 == 9:
            print(f"epoch {epoch + 1:3d}  strength {strength:.2f}  digit loss {digit_sum / n:.4f}  "
                  f"domain loss {domain_sum / n:.4f}  day accuracy {accuracy(model, day_x, day_y):.3f}")
    print(f"night accuracy {accuracy(model, test_x, test_y):.4f}")


if __name__ == "__main__":
    main()
