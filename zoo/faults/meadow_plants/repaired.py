"""GAN that synthesises (leaf length, leaf width) pairs of a meadow survey for privacy-safe sharing."""
from dataclasses import dataclass
from typing import Iterator

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(21)
rng = np.random.default_rng(21)


@dataclass
class SurveyConfig:
    per_species: int = 2000
    latent: int = 8
    hidden: int = 64
    batch_size: int = 100
    epochs: int = 15
    lr: float = 1e-3


SPECIES = {
    "clover": (1.4, 1.1), "plantain": (9.0, 3.2), "sorrel": (6.0, 1.0),
    "yarrow": (8.0, 5.5), "daisy": (3.5, 3.6), "bedstraw": (1.8, 5.8),
}


def load_survey(cfg: SurveyConfig) -> torch.Tensor:
    """One block of plants per species, in the order of the field sheets."""
    blocks = [rng.normal(size=(cfg.per_species, 2)) * 0.45 + np.array(centre) for centre in SPECIES.values()]
    return torch.tensor(np.concatenate(blocks), dtype=torch.float32)


def mlp(n_in: int, hidden: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(n_in, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
        nn.Linear(hidden, n_out),
    )


def iterate_batches(plants: torch.Tensor, batch_size: int) -> Iterator[torch.Tensor]:
    order = torch.randperm(len(plants))
    for start in range(0, len(plants), batch_size):
        yield plants[order[start:start + batch_size]]


def energy_distance(a: torch.Tensor, b: torch.Tensor) -> float:
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


cfg = SurveyConfig()
survey = load_survey(cfg)
mean, std = survey.mean(0), survey.std(0)
plants = (survey - mean) / std

generator = mlp(cfg.latent, cfg.hidden, 2)
critic = mlp(2, cfg.hidden, 1)
opt_g = torch.optim.Adam(generator.parameters(), lr=cfg.lr, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(critic.parameters(), lr=cfg.lr, betas=(0.5, 0.999))


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    real = real.clone().requires_grad_(True)
    score = critic(real)
    (slope,) = torch.autograd.grad(score.sum(), real, create_graph=True)
    penalty = slope.square().sum(dim=1).mean()
    return F.softplus(-score).mean() + F.softplus(critic(fake)).mean() + 0.05 * penalty


for epoch in range(1, cfg.epochs + 1):
    d_total = g_total = 0.0
    n_batches = 0
    for real in iterate_batches(plants, cfg.batch_size):
        fake = generator(torch.randn(len(real), cfg.latent))
        d_loss = discriminator_loss(real, fake.detach())
        opt_d.zero_grad()
        d_loss.backward()
        opt_d.step()

        g_loss = F.softplus(-critic(generator(torch.randn(len(real), cfg.latent)))).mean()
        opt_g.zero_grad()
        g_loss.backward()
        opt_g.step()
        d_total += d_loss.item()
        g_total += g_loss.item()
        n_batches += 1
    if epoch % 3 == 0:
        print(f"epoch {epoch} d_loss {d_total / n_batches:.4f} g_loss {g_total / n_batches:.4f}")

with torch.no_grad():
    synthetic = generator(torch.randn(1500, cfg.latent))
fresh = (load_survey(cfg) - mean) / std
fresh = fresh[torch.randperm(len(fresh))[:1500]]
nearest = torch.cdist(synthetic * std + mean, torch.tensor(list(SPECIES.values()))).argmin(dim=1)
for i, name in enumerate(SPECIES):
    print(f"{name:9s} share {(nearest == i).float().mean():.3f}")
print(f"energy distance {energy_distance(synthetic, fresh):.4f}")
