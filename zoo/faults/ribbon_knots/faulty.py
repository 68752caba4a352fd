# Knots in ribbons, photographed twice. Learn an embedding with triplets, then look for the nearest known knot.
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)
rng = np.random.default_rng(seed)

KINDS = 24
proto = rng.normal(0, 1, (KINDS, 6, 2))      # control points of each kind of knot


def photo(kind):
    """A ribbon through the control points, turned a little, with noise, as a 16x16 picture."""
    pts = proto[kind] + rng.normal(0, 0.16, (6, 2))
    a = rng.uniform(-0.35, 0.35)
    pts = pts @ np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])
    img = np.zeros((16, 16), dtype=np.float32)
    for p, q in zip(pts[:-1], pts[1:]):
        for s in np.linspace(0, 1, 12):
            x, y = ((1 - s) * p + s * q) * 2.6 + 8
            i, j = int(round(y)), int(round(x))
            if 0 <= i < 16 and 0 <= j < 16:
                img[i, j] = 1.0
    return img + rng.normal(0, 0.2, (16, 16)).astype(np.float32)


def album(per_kind):
    x = np.stack([photo(k) for k in range(KINDS) for _ in range(per_kind)])
    y = np.repeat(np.arange(KINDS), per_kind)
    return torch.tensor(x, dtype=torch.float32).unsqueeze(1), torch.tensor(y)


class Embedder(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        )
        self.proj = nn.Linear(24 * 4 * 4, dim)

    def forward(self, x):
        return F.normalize(self.proj(self.features(x).flatten(1)), dim=1)


class TripletTrainer:
    def __init__(self, model, x, y, lr=2e-3, epochs=8, batch=64):
        self.model, self.x, self.y = model, x, y
        self.epochs, self.batch = epochs, batch
        self.optimizer = torch.optim.Adam(model.parameters(), lr=lr)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=0.85)
        self.members = [torch.where(y == k)[0] for k in range(KINDS)]

    def triplets(self, idx):
        pos, neg = [], []
        for k in self.y[idx].tolist():
            pos.append(random.choice(self.members[k].tolist()))
            other = random.choice([j for j in range(KINDS) if j != k])
            neg.append(random.choice(self.members[other].tolist()))
        return self.x[idx], self.x[pos], self.x[neg]

    def train_epoch(self):
        self.model.train()
        total, n = 0.0, 0
        for idx in torch.randperm(len(self.x)).split(self.batch):
            a, p, q = self.triplets(idx)
            loss = F.triplet_margin_loss(self.model(a), self.model(p), self.model(q), margin=0.5)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            total += loss.item()
            n += 1
        return total / n

    def fit(self, probe):
        for e in range(self.epochs):
            loss = self.train_epoch()
            print(f"epoch {e + 1:2d}  triplet loss {loss:.4f}  recall@1 {probe():.3f}")


known_x, known_y = album(40)
new_x, new_y = album(15)
net = Embedder()


@torch.no_grad()
def recall_at_1():
    net.eval()
    d = torch.cdist(net(new_x), net(known_x))
    return (known_y[d.argmin(1)] == new_y).float().mean().item()


TripletTrainer(net, known_x, known_y).fit(recall_at_1)
print(f"final recall@1 {recall_at_1():.4f}")
