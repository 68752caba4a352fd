"""Variational autoencoder for chalk marks whose pixels count 0..16 chalk grains."""
import math

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.distributions import Binomial, Normal, kl_divergence
from torch.utils.data import DataLoader

torch.manual_seed(1)
counts = torch.tensor(load_digits().data, dtype=torch.float32)
train_x, test_x = train_test_split(counts, test_size=0.2, random_state=1)
train_x, val_x = train_test_split(train_x, test_size=0.15, random_state=1)
mu, sd = train_x.mean(), train_x.std()

LATENT, WARMUP, EPOCHS = 10, 15, 70


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, 160), nn.SiLU(), nn.Linear(160, 80), nn.SiLU())
        self.loc = nn.Linear(80, LATENT)
        self.log_scale = nn.Linear(80, LATENT)

    def forward(self, x):
        h = self.body((x - mu) / sd)
        return Normal(self.loc(h), self.log_scale(h).clamp(-5, 2).exp())


decoder = nn.Sequential(nn.Linear(LATENT, 80), nn.SiLU(), nn.Linear(80, 160), nn.SiLU(), nn.Linear(160, 64))
encoder = Encoder()
prior = Normal(torch.zeros(LATENT), torch.ones(LATENT))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS, eta_min=1e-4)
loader = DataLoader(train_x, batch_size=64, shuffle=True)


def terms(x):
    q = encoder(x)
    z = q.rsample()
    nll = -Binomial(16, logits=decoder(z)).log_prob(x).sum(1)
    return nll, kl_divergence(q, prior).sum(1)


def bound(x, samples=10):
    encoder.eval(), decoder.eval()
    with torch.no_grad():
        return sum((nll + kl).mean().item() for nll, kl in (terms(x) for _ in range(samples))) / samples


for epoch in range(EPOCHS):
    encoder.train(), decoder.train()
    beta = min(1.0, (epoch + 1) / WARMUP)
    sums = [0.0, 0.0]
    for x in loader:
        nll, kl = terms(x)
        loss = (nll + beta * kl).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums[0] += nll.sum().item()
        sums[1] += kl.sum().item()
    scheduler.step()
    if epoch % 10 == 9:
        print(f"epoch {epoch + 1:3d}  beta {beta:.2f}  nll {sums[0] / len(train_x):.2f}  "
              f"kl {sums[1] / len(train_x):.2f}  val bound {bound(val_x):.2f}")

rate = (train_x.mean(0) / 16).clamp(1e-3, 1 - 1e-3)
independent = -Binomial(16, probs=rate).log_prob(test_x).sum(1).mean().item()
final = bound(test_x)
print(f"test negative ELBO {final:.2f} nats; independent pixels {independent:.2f} nats")
print(f"gain per pixel {(independent - final) / 64 / math.log(2):.3f} bits")
