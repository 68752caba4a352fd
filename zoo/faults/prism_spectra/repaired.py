"""Conditional diffusion: sample the two concentrations of a solution given its absorption spectrum."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
rng = np.random.default_rng(3)


@dataclass(frozen=True)
class Config:
    n_train: int = 2000
    n_test: int = 400
    n_wavelengths: int = 80
    cond_dim: int = 2
    hidden: int = 96
    T: int = 50
    batch_size: int = 128
    steps: int = 2000
    lr: float = 2e-3


CFG = Config()
wavelengths = np.linspace(0, 1, CFG.n_wavelengths)


def measure(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    conc = rng.uniform(0, 1, size=(n, 2))
    peaks = np.stack([np.exp(-((wavelengths - c) / 0.06) ** 2) for c in (0.35, 0.6)])
    baseline = rng.normal(size=(n, 3)) @ np.stack([np.ones_like(wavelengths), wavelengths, wavelengths ** 2])
    spectra = conc @ peaks + baseline + 0.02 * rng.normal(size=(n, CFG.n_wavelengths))
    return torch.tensor(spectra, dtype=torch.float32), torch.tensor(conc, dtype=torch.float32)


spectra, conc = measure(CFG.n_train + CFG.n_test)
train, test = slice(0, CFG.n_train), slice(CFG.n_train, None)
spectra = (spectra - spectra[train].mean(0)) / spectra[train].std(0)
mu, sigma = conc[train].mean(0), conc[train].std(0)
x_train = (conc[train] - mu) / sigma

beta = torch.linspace(1e-3, 0.15, CFG.T)
alpha_bar = torch.cumprod(1 - beta, dim=0)


class SpectrumEncoder(nn.Sequential):
    def __init__(self, n_in: int, n_out: int) -> None:
        super().__init__(nn.Linear(n_in, 64), nn.SiLU(), nn.Linear(64, n_out))


class NoisePredictor(nn.Module):
    def __init__(self, cond_dim: int, hidden: int) -> None:
        super().__init__()
        self.time = nn.Embedding(CFG.T, 16)
        self.net = nn.Sequential(
            nn.Linear(2 + 16 + cond_dim, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, 2),
        )

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
        return self.net(torch.cat([x, self.time(t), cond], dim=-1))


def diffusion_loss(denoiser: nn.Module, x0: torch.Tensor, cond: torch.Tensor) -> torch.Tensor:
    t = torch.randint(0, CFG.T, (len(x0),))
    noise = torch.randn_like(x0)
    a = alpha_bar[t].unsqueeze(-1)
    return F.mse_loss(denoiser(a.sqrt() * x0 + (1 - a).sqrt() * noise, t, cond), noise)


@torch.no_grad()
def sample(denoiser: nn.Module, cond: torch.Tensor) -> torch.Tensor:
    x = torch.randn(len(cond), 2)
    for t in reversed(range(CFG.T)):
        eps = denoiser(x, torch.full((len(cond),), t), cond)
        x = (x - beta[t] / (1 - alpha_bar[t]).sqrt() * eps) / (1 - beta[t]).sqrt()
        if t > 0:
            x = x + beta[t].sqrt() * torch.randn_like(x)
    return x * sigma + mu


encoder = SpectrumEncoder(CFG.n_wavelengths, CFG.cond_dim)
denoiser = NoisePredictor(CFG.cond_dim, CFG.hidden)
optimizer = torch.optim.Adam([*encoder.parameters(), *denoiser.parameters()], lr=CFG.lr)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, CFG.steps)
train_spectra = spectra[train]

running = 0.0
for step in range(1, CFG.steps + 1):
    idx = torch.randint(0, CFG.n_train, (CFG.batch_size,))
    cond = encoder(train_spectra[idx])
    loss = diffusion_loss(denoiser, x_train[idx], cond)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    running += loss.item()
    if step % 500 == 0:
        print(f"step {step} diffusion loss {running / 500:.4f}")
        running = 0.0

with torch.no_grad():
    test_cond = encoder(spectra[test])
draws = torch.stack([sample(denoiser, test_cond) for _ in range(8)])
error = (draws.mean(0) - conc[test]).abs().mean().item()
print(f"test concentration error {error:.4f}")
