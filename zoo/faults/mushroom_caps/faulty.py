import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.distributions import Normal, kl_divergence
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# ---- silhouettes of mushrooms, 14 x 14, grey between 0 and 1 ----
S = 14


def silhouette(rng):
    yy, xx = np.mgrid[0:S, 0:S].astype(float)
    cx = rng.uniform(5.0, 8.0)
    top = rng.uniform(4.0, 7.0)
    wide = rng.uniform(2.5, 6.0)
    high = rng.uniform(2.0, 4.0)
    stem = rng.uniform(0.6, 2.0)
    cap = ((xx - cx) / wide) ** 2 + ((yy - top) / high) ** 2 < 1
    cap &= yy <= top + 0.5
    leg = (np.abs(xx - cx) < stem) & (yy > top) & (yy < rng.uniform(10, 13.5))
    return np.clip(cap * 0.95 + leg * 0.7, 0, 0.95)


def collect(n, rng):
    data = np.stack([silhouette(rng) for _ in range(n)]).astype(np.float32)
    return torch.from_numpy(data).view(n, -1)


# ---- model ----
class Encoder(nn.Module):
    def __init__(self, latent):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(S * S, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU())
        self.loc = nn.Linear(64, latent)
        self.log_scale = nn.Linear(64, latent)

    def forward(self, x):
        h = self.body(x)
        return Normal(self.loc(h), torch.exp(self.log_scale(h).clamp(-6, 3)))


class VAE(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.latent = latent
        self.encoder = Encoder(latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, S * S)
        )

    def forward(self, x):
        q = self.encoder(x)
        z = q.sample()
        return self.decoder(z), q


def elbo_terms(model, x):
    logits, q = model(x)
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1).mean()
    prior = Normal(torch.zeros_like(q.loc), torch.ones_like(q.scale))
    kl = kl_divergence(q, prior).sum(1).mean()
    return rec, kl


# ---- training ----
rng = np.random.default_rng(seed)
train_loader = DataLoader(TensorDataset(collect(2500, rng)), batch_size=50, shuffle=True)
test_x = collect(500, rng)

vae = VAE()
optimizer = torch.optim.Adam(vae.parameters(), lr=2e-3)
epochs, warmup = 14, 4

for epoch in range(1, epochs + 1):
    beta = min(1.0, epoch / warmup)
    vae.train()
    sums = torch.zeros(2)
    for (x,) in train_loader:
        rec, kl = elbo_terms(vae, x)
        loss = rec + beta * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sums += torch.stack([rec, kl]).detach()
    rec, kl = (sums / len(train_loader)).tolist()
    print(f"epoch {epoch:2d}  reconstruction {rec:7.3f}  kl {kl:6.3f}  beta {beta:.2f}")

vae.eval()
with torch.no_grad():
    rec, kl = elbo_terms(vae, test_x)
    dreams = torch.sigmoid(vae.decoder(torch.randn(200, vae.latent)))
print(f"mean ink: real {test_x.mean():.3f}, dreamt {dreams.mean():.3f}")
print(f"test kl {kl.item():.3f}")
print(f"test elbo {-(rec + kl).item():.3f}")
