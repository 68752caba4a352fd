"""Variational autoencoder of flower silhouettes seen from above (14 x 14 pixels)."""
import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 14


def silhouettes(n, rng):
    """Soft grey silhouettes in [0, 1]: n petals, a turn, a size and a depth of the notches."""
    yy, xx = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    radius, angle = np.hypot(xx, yy), np.arctan2(yy, xx)
    petals = rng.integers(3, 6, n)[:, None, None]
    turn = rng.uniform(0, 2 * np.pi, n)[:, None, None]
    size = rng.uniform(3.6, 5.0, n)[:, None, None]
    depth = rng.uniform(0.2, 0.4, n)[:, None, None]
    edge = size * (1 + depth * np.cos(petals * angle + turn))
    grey = 1 / (1 + np.exp(-3 * (edge - radius)))
    return torch.tensor(grey.reshape(n, -1), dtype=torch.float32)


class FlowerVAE(nn.Module):
    def __init__(self, latent=8, hidden=160):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(SIDE * SIDE, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
                                 nn.Linear(hidden, 2 * latent))
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(),
                                 nn.Linear(hidden, SIDE * SIDE))

    def forward(self, x):
        mean, logvar = self.enc(2 * x - 1).chunk(2, dim=1)
        z = mean + torch.randn_like(mean) * (0.5 * logvar).exp()
        rec = F.binary_cross_entropy_with_logits(self.dec(z), x, reduction="none").sum(1)
        kl = 0.5 * (mean.pow(2) + logvar.exp() - 1 - logvar).sum(1)
        return rec.mean(), kl.mean()


def make_training(grey, epochs, warmup, batch=100, seed=0):
    """Returns (train_epoch, bound): both share the model and the optimizer kept here."""
    model = FlowerVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda e: 1.0 if e < epochs // 2 else 0.5 * (1 + math.cos(math.pi * (2 * e / epochs - 1))))
    shuffle = torch.Generator().manual_seed(seed)
    state = {"epoch": 0}

    def train_epoch():
        beta = min(1.0, (state["epoch"] + 1) / warmup)
        model.train()
        sums = torch.zeros(2)
        for rows in torch.randperm(len(grey), generator=shuffle).split(batch):
            rec, kl = model(torch.bernoulli(grey[rows]))
            optimizer.zero_grad()
            (rec + beta * kl).backward()
            optimizer.step()
            sums += torch.stack([rec, kl]).detach() * len(rows)
        schedule.step()
        state["epoch"] += 1
        return beta, *(sums / len(grey)).tolist()

    def bound(pictures, draws=10):
        model.eval()
        with torch.no_grad():
            return sum(sum(model(pictures)).item() for _ in range(draws)) / draws

    return train_epoch, bound


def main():
    torch.manual_seed(4)
    rng = np.random.default_rng(4)
    grey, unseen = silhouettes(5000, rng), torch.bernoulli(silhouettes(1000, rng))
    epochs = 36
    train_epoch, bound = make_training(grey, epochs, warmup=10)
    for epoch in range(epochs):
        beta, rec, kl = train_epoch()
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2d}  beta {beta:.1f}  reconstruction {rec:6.2f}  kl {kl:5.2f}")
    rate = grey.mean(0).clamp(1e-4, 1 - 1e-4)
    independent = F.binary_cross_entropy(rate.expand_as(unseen), unseen, reduction="none").sum(1).mean().item()
    print(f"independent pixels: {independent:.1f} nats per flower")
    print(f"negative ELBO on unseen flowers: {bound(unseen):.1f} nats per flower")


main()
