"""Which conductor punched the ticket? Every punch cuts its own little hole.

An embedding is learned with a contrastive loss; a ticket is then given to the
conductor whose reference tickets lie nearest.
"""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

CONDUCTORS = 12
SIZE = 12


def make_punches(rng):
    """The outline of each punch: a few harmonics of the radius."""
    return [(rng.uniform(2.4, 3.6), rng.uniform(-0.35, 0.35, 4), rng.uniform(0, 2 * np.pi, 4))
            for _ in range(CONDUCTORS)]


def punch_ticket(punch, rng):
    radius, size, phase = punch
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] + 0.5
    dx = xx - SIZE / 2 - rng.uniform(-0.8, 0.8)
    dy = yy - SIZE / 2 - rng.uniform(-0.8, 0.8)
    angle = np.arctan2(dy, dx)
    edge = radius * (1 + sum(a * np.cos((k + 1) * angle + p)
                             for k, (a, p) in enumerate(zip(size, phase))))
    hole = 1 / (1 + np.exp(2.5 * (np.hypot(dx, dy) - edge)))
    return hole * rng.uniform(0.8, 1.2) + 0.1 * rng.normal(size=hole.shape)


def tickets(punches, per_conductor, rng):
    x = np.stack([np.stack([punch_ticket(p, rng) for _ in range(per_conductor)]) for p in punches])
    return torch.tensor(x, dtype=torch.float32).unsqueeze(2)  # conductor, ticket, 1, H, W


class Encoder(nn.Module):
    def __init__(self, dim: int = 32):
        super().__init__()

        def layer(cin, cout, stride):
            return nn.Sequential(nn.Conv2d(cin, cout, 3, stride, 1, bias=False),
                                 nn.BatchNorm2d(cout), nn.ReLU(inplace=True))

        self.features = nn.Sequential(layer(1, 16, 1), layer(16, 24, 2), layer(24, 32, 2))
        self.project = nn.Sequential(nn.Flatten(), nn.Linear(32 * 9, 64), nn.BatchNorm1d(64),
                                     nn.ReLU(inplace=True), nn.Linear(64, dim))

    def forward(self, x):
        return F.normalize(self.project(self.features(x)), dim=1)


class SupConLoss(nn.Module):
    def __init__(self, temperature: float = 0.1):
        super().__init__()
        self.temperature = temperature

    def forward(self, z, labels):
        sim = z @ z.t() / self.temperature
        self_mask = torch.eye(len(z), dtype=torch.bool)
        positive = (labels[:, None] == labels[None]) & ~self_mask
        log_prob = sim - torch.logsumexp(sim.masked_fill(self_mask, -1e9), dim=1, keepdim=True)
        return -(log_prob * positive).sum(1).div(positive.sum(1)).mean()


class BalancedSampler:
    """Some tickets of each conductor in every batch."""

    def __init__(self, data, each, steps):
        self.data, self.each, self.steps = data, each, steps

    def __iter__(self):
        labels = torch.arange(CONDUCTORS).repeat_interleave(self.each)
        for _ in range(self.steps):
            idx = torch.randint(self.data.shape[1], (len(labels),))
            yield self.data[labels, idx], labels


@torch.no_grad()
def retrieval(model, gallery, query):
    """Share of the tickets whose nearest reference belongs to the same conductor."""
    model.eval()
    centres = torch.stack([F.normalize(model(own).mean(0), dim=0) for own in gallery])
    right = 0
    for conductor, own in enumerate(query):
        nearest = (model(own) @ centres.t()).argmax(1)
        right += (nearest == conductor).sum().item()
    return right / (query.shape[0] * query.shape[1])


def run(seed: int, epochs: int = 7, steps: int = 30) -> float:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    punches = make_punches(rng)
    train, gallery, query = (tickets(punches, n, rng) for n in (80, 20, 40))
    model, criterion = Encoder(), SupConLoss()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        model.train()
        losses = []
        for x, labels in BalancedSampler(train, 5, steps):
            loss = criterion(model(x), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        scheduler.step()
        print(f"epoch {epoch}: loss {np.mean(losses):.4f} lr {scheduler.get_last_lr()[0]:.4f}")
    score = retrieval(model, gallery, query)
    print(f"retrieval accuracy {score:.4f}")
    return score


if __name__ == "__main__":
    run(int(os.environ.get("SEED", "0")))
