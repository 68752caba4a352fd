"""Screening of tightening curves from the assembly line.

A small VAE learns what good joints look like; a joint whose curve is
reconstructed badly is sent to the manual bench.
"""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.metrics import roc_auc_score
from torch.utils.data import DataLoader, TensorDataset


@dataclass
class Config:
    seed: int = 12
    points: int = 48
    n_train: int = 3000
    n_check: int = 600
    latent: int = 6
    hidden: int = 96
    batch_size: int = 100
    epochs: int = 40
    lr: float = 2e-3
    kl_warmup: int = 5


def good_joints(rng, n, points):
    angle = np.linspace(0, 1, points)
    knee = rng.uniform(0.25, 0.65, (n, 1))
    slope = rng.uniform(1.5, 3.5, (n, 1))
    drag = rng.uniform(0.0, 0.5, (n, 1))
    wobble = rng.uniform(0.0, 0.15, (n, 1)) * np.sin(2 * np.pi * (3 * angle + rng.uniform(0, 1, (n, 1))))
    curve = drag * angle + slope * np.clip(angle - knee, 0, None) + wobble
    return curve + 0.02 * rng.standard_normal((n, points))


def bad_joints(rng, n, points):
    curve = good_joints(rng, n, points)
    angle = np.linspace(0, 1, points)
    centre = rng.uniform(0.3, 0.9, (n, 1))
    bump = np.exp(-((angle - centre) / 0.05) ** 2)
    return curve + rng.choice([-1.0, 1.0], (n, 1)) * rng.uniform(0.25, 0.5, (n, 1)) * bump


class CurveVAE(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(cfg.points, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU(),
        )
        self.to_mu = nn.Linear(cfg.hidden, cfg.latent)
        self.to_logvar = nn.Linear(cfg.hidden, cfg.latent)
        self.decoder = nn.Sequential(
            nn.Linear(cfg.latent, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, cfg.points),
        )

    def forward(self, x):
        h = self.encoder(x)
        mu, logvar = self.to_mu(h), self.to_logvar(h)
        z = mu
        if self.training:
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.decoder(z), mu, logvar


class Screener:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        self.model = CurveVAE(cfg)
        self.opt = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, cfg.epochs, eta_min=1e-4)

    def elbo(self, x, beta):
        recon, mu, logvar = self.model(x)
        # losses are per curve, so that the batch size does not matter
        rec = F.mse_loss(recon, x)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(dim=1).mean()
        return rec + beta * kl, rec, kl

    def fit(self, loader):
        for epoch in range(self.cfg.epochs):
            self.model.train()
            beta = min(1.0, (epoch + 1) / self.cfg.kl_warmup)
            tot_rec = tot_kl = 0.0
            for (x,) in loader:
                loss, rec, kl = self.elbo(x, beta)
                self.opt.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(self.model.parameters(), 10.0)
                self.opt.step()
                tot_rec += rec.item()
                tot_kl += kl.item()
            self.sched.step()
            if epoch % 5 == 0 or epoch == self.cfg.epochs - 1:
                n = len(loader)
                print(f"epoch {epoch:3d}  beta {beta:.2f}  rec {tot_rec / n:.4f}  kl {tot_kl / n:.4f}")

    @torch.no_grad()
    def score(self, x):
        self.model.eval()
        recon, _, _ = self.model(x)
        return ((recon - x) ** 2).mean(dim=1)


def main():
    cfg = Config()
    torch.manual_seed(cfg.seed)
    np.random.seed(cfg.seed)
    rng = np.random.default_rng(np.random.randint(10000))
    train = good_joints(rng, cfg.n_train, cfg.points)
    ok = good_joints(rng, cfg.n_check, cfg.points)
    nok = bad_joints(rng, cfg.n_check, cfg.points)

    mean, std = train.mean(), train.std()
    as_tensor = lambda a: torch.tensor((a - mean) / std, dtype=torch.float32)
    train, ok, nok = as_tensor(train), as_tensor(ok), as_tensor(nok)

    screener = Screener(cfg)
    screener.fit(DataLoader(TensorDataset(train), batch_size=cfg.batch_size, shuffle=True))

    s_ok, s_nok = screener.score(ok), screener.score(nok)
    labels = np.r_[np.zeros(len(s_ok)), np.ones(len(s_nok))]
    auc = roc_auc_score(labels, torch.cat([s_ok, s_nok]).numpy())
    spread = ((ok - train.mean(dim=0)) ** 2).mean()
    print(f"variance of good curves explained {1 - s_ok.mean() / spread:.4f}")
    print(f"screening AUC {auc:.4f}")


if __name__ == "__main__":
    main()
