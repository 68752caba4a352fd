"""A variational autoencoder of the outlines of turned vases."""
import math

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

POINTS = 40
NOISE = 0.15


def turn_vases(n):
    """Radius over height: foot, belly, neck and lip, each a little different."""
    h = torch.linspace(0, 1, POINTS)
    belly, where = 0.4 + 0.5 * torch.rand(n, 1), 0.3 + 0.3 * torch.rand(n, 1)
    neck, lip = 0.3 * torch.rand(n, 1), 0.3 * torch.rand(n, 1)
    foot = 0.2 * torch.rand(n, 1)
    r = belly * torch.exp(-(((h - where) / 0.22) ** 2)) + neck + lip * torch.sigmoid((h - 0.9) * 40) + foot * torch.exp(-h * 15)
    return r + 0.02 * torch.randn(n, POINTS)


class VaseVAE(nn.Module):
    def __init__(self, latent=6, width=96):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(POINTS, width), nn.ELU(), nn.Linear(width, width), nn.ELU())
        self.mu, self.log_std = nn.Linear(width, latent), nn.Linear(width, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ELU(), nn.Linear(width, width), nn.ELU(), nn.Linear(width, POINTS))

    def posterior(self, x):
        h = self.encoder(x)
        return Normal(self.mu(h), self.log_std(h).clamp(-6, 2).exp())

    def terms(self, x):
        """Negative log-likelihood and KL divergence of each vase."""
        q = self.posterior(x)
        seen = Normal(self.decoder(q.rsample()), NOISE)
        prior = Normal(torch.zeros(()), torch.ones(()))
        return -seen.log_prob(x).sum(1), kl_divergence(q, prior).sum(1)


def fit(model, vases, steps, warmup, on_report):
    opt = torch.optim.Adam(model.parameters(), lr=1.5e-3)

    def kl_weight(step):
        return min(1.0, step / warmup)

    for step in range(1, steps + 1):
        batch = vases[torch.randint(len(vases), (64,))]
        nll, kl = model.terms(batch)
        loss = (nll + kl_weight(step) * kl).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 200 == 0:
            on_report(step, loss.item())


torch.manual_seed(61)
vases, unseen = turn_vases(3000), turn_vases(600)
centre, spread = vases.mean(), vases.std()
vases, unseen = (vases - centre) / spread, (unseen - centre) / spread
model = VaseVAE()


@torch.no_grad()
def report(step, loss):
    nll, kl = model.terms(unseen)
    print(f"step {step} loss {loss:.2f} held-out: nll {nll.mean():.2f} kl {kl.mean():.2f} bound {(nll + kl).mean():.2f}")


fit(model, vases, steps=1200, warmup=100, on_report=report)
