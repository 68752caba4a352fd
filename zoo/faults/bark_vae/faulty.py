# Variational autoencoder for ring widths of trees (40 years each).
import math

import torch
from torch import nn
from torch.nn import functional as F

YEARS, Z = 40, 4


def ring_widths(n):
    t = torch.arange(YEARS) / YEARS
    decline = torch.exp(-t * (0.5 + 2 * torch.rand(n, 1)))
    wet = torch.sin(2 * math.pi * (t * (2 + 2 * torch.rand(n, 1)) + torch.rand(n, 1)))
    return 2 * decline + 0.6 * wet + 0.08 * torch.randn(n, YEARS)


class Vae(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(YEARS, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.mean = nn.Linear(width, Z)
        self.log_std = nn.Linear(width, Z)
        self.dec = nn.Sequential(nn.Linear(Z, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, YEARS))

    def encode(self, x):
        h = self.enc(x)
        return self.mean(h), self.log_std(h).clamp(-6, 2)

    def forward(self, x):
        mean, log_std = self.encode(x)
        z = torch.normal(mean, log_std.exp())
        return self.dec(z), mean, log_std


def bound(x, guess, mean, log_std, noise=0.15):
    fit = 0.5 * ((x - guess) / noise).pow(2).sum(1)
    kl = (0.5 * (mean.pow(2) + (2 * log_std).exp() - 1) - log_std).sum(1)
    return (fit + kl).mean(), fit.mean(), kl.mean()


torch.manual_seed(13)
train, test = ring_widths(2400), ring_widths(400)
centre, spread = train.mean(0), train.std()
train, test = (train - centre) / spread, (test - centre) / spread
vae = Vae()
opt = torch.optim.Adam(vae.parameters(), lr=2e-3)
for epoch in range(1, 26):
    for x in train[torch.randperm(len(train))].split(80):
        loss, fit, kl = bound(x, *vae(x))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
    if epoch % 5 == 0:
        with torch.no_grad():
            error = F.mse_loss(vae.dec(vae.encode(test)[0]), test)
        print(f"epoch {epoch} bound {loss.item():.2f} fit {fit.item():.2f} kl {kl.item():.2f} test error {error.item():.4f}")
