"""Variational autoencoder on the 8 x 8 digits."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    latent: int = 6
    hidden: int = 96
    batch: int = 64
    epochs: int = 35
    lr: float = 4e-3
    seed: int = 3


class DigitVAE(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, cfg.hidden), nn.SiLU(), nn.Linear(cfg.hidden, cfg.hidden), nn.SiLU())
        self.mu = nn.Linear(cfg.hidden, cfg.latent)
        self.logvar = nn.Linear(cfg.hidden, cfg.latent)
        self.dec = nn.Sequential(
            nn.Linear(cfg.latent, cfg.hidden), nn.SiLU(), nn.Linear(cfg.hidden, cfg.hidden), nn.SiLU(),
            nn.Linear(cfg.hidden, 64),
        )

    def encode(self, x):
        h = self.enc(x)
        return self.mu(h), self.logvar(h)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec(z), mu, logvar


class Trainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        images = torch.tensor(load_digits().data / 16.0, dtype=torch.float32)
        images = images[torch.randperm(len(images))]
        self.test = images[1500:]
        self.loader = DataLoader(TensorDataset(images[:1500]), batch_size=cfg.batch, shuffle=True)
        self.model = DigitVAE(cfg)
        self.optim = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)

    def elbo_loss(self, x, logits, mu, logvar):
        recon = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1).mean()
        return recon + kl, kl

    def fit(self):
        for epoch in range(1, self.cfg.epochs + 1):
            self.model.train()
            total = total_kl = 0.0
            for (x,) in self.loader:
                loss, kl = self.elbo_loss(x, *self.model(x))
                self.optim.zero_grad()
                loss.backward()
                self.optim.step()
                total += loss.item() * len(x)
                total_kl += kl.item() * len(x)
            if epoch % 7 == 0:
                n = len(self.loader.dataset)
                print(f"epoch {epoch:2d}  loss {total / n:.3f}  kl {total_kl / n:.3f}  test rmse {self.rmse():.4f}")

    @torch.no_grad()
    def rmse(self) -> float:
        self.model.eval()
        mu, _ = self.model.encode(self.test)
        return (torch.sigmoid(self.model.dec(mu)) - self.test).pow(2).mean().sqrt().item()


if __name__ == "__main__":
    config = Config()
    torch.manual_seed(config.seed)
    Trainer(config).fit()
