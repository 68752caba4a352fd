import os
import random
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


@dataclass
class Config:
    latent: int = 8
    hidden: int = 128
    epochs: int = 30
    batch_size: int = 64
    lr: float = 2e-3
    beta: float = 1.0
    seed: int = int(os.environ.get("SEED", "0"))


def set_seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


class VAE(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, cfg.hidden), nn.ReLU(), nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU())
        self.to_mu = nn.Linear(cfg.hidden, cfg.latent)
        self.to_logvar = nn.Linear(cfg.hidden, cfg.latent)
        self.decoder = nn.Sequential(
            nn.Linear(cfg.latent, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, cfg.hidden), nn.ReLU(),
            nn.Linear(cfg.hidden, 64),
        )

    def encode(self, x):
        h = self.encoder(x)
        return self.to_mu(h), self.to_logvar(h)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + std * torch.randn_like(std)

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.decoder(z), mu, logvar


def elbo_terms(logits, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1).mean()
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(dim=1).mean()
    return rec, kl


class Trainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        data = load_digits()
        x = (data.data / 16.0).astype(np.float32)
        xtr, xte, ytr, yte = train_test_split(x, data.target, test_size=0.25, random_state=cfg.seed, stratify=data.target)
        self.xtr, self.xte = torch.from_numpy(xtr), torch.from_numpy(xte)
        self.ytr, self.yte = ytr, yte
        self.model = VAE(cfg)
        self.opt = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)
        self.best = float("inf")
        self.best_state = None

    def batches(self):
        order = torch.randperm(len(self.xtr))
        for i in range(0, len(order), self.cfg.batch_size):
            yield self.xtr[order[i:i + self.cfg.batch_size]]

    def train_epoch(self):
        self.model.train()
        sums = np.zeros(2)
        n = 0
        for x in self.batches():
            self.opt.zero_grad()
            logits, mu, logvar = self.model(x)
            rec, kl = elbo_terms(logits, x, mu, logvar)
            loss = rec + self.cfg.beta * kl
            loss.backward()
            self.opt.step()
            sums += [rec.item(), kl.item()]
            n += 1
        return sums / n

    @torch.no_grad()
    def test_elbo(self):
        self.model.eval()
        logits, mu, logvar = self.model(self.xte)
        rec, kl = elbo_terms(logits, self.xte, mu, logvar)
        return rec.item(), kl.item()

    @torch.no_grad()
    def probe(self):
        """How much of the digit is still in the code?"""
        self.model.eval()
        ztr = self.model.encode(self.xtr)[0].numpy()
        zte = self.model.encode(self.xte)[0].numpy()
        return LogisticRegression(max_iter=2000).fit(ztr, self.ytr).score(zte, self.yte)

    def run(self):
        for epoch in range(1, self.cfg.epochs + 1):
            rec, kl = self.train_epoch()
            trec, tkl = self.test_elbo()
            if trec + tkl < self.best:
                self.best = trec + tkl
                self.best_state = {k: v.clone() for k, v in self.model.state_dict().items()}
            if epoch % 5 == 0:
                print(f"epoch {epoch:3d}  rec {rec:.2f}  kl {kl:.2f}  | test rec {trec:.2f} kl {tkl:.2f}")
        self.model.load_state_dict(self.best_state)
        rec, kl = self.test_elbo()
        print(f"test negative elbo {rec + kl:.3f}")
        print(f"probe accuracy {self.probe():.4f}")


if __name__ == "__main__":
    config = Config()
    set_seed(config.seed)
    Trainer(config).run()
