"""Outlines of leaves (radius at 64 angles) in a few latent variables."""
import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def outlines(n: int, gen: torch.Generator) -> Tensor:
    """Leaves that differ in length, asymmetry, number of lobes and depth of the teeth."""
    a = 2 * math.pi * torch.arange(64) / 64
    length = 0.5 * torch.randn(n, 1, generator=gen)
    skew = 0.3 * torch.randn(n, 1, generator=gen)
    lobes = torch.randint(3, 6, (n, 1), generator=gen)
    depth = 0.15 + 0.25 * torch.rand(n, 1, generator=gen)
    r = 1 + length * a.cos() + skew * (a.sin() + 0.5 * (2 * a).sin()) + depth * (lobes * a).cos()
    return r + 0.03 * torch.randn(n, 64, generator=gen)


class LeafVAE(nn.Module):
    def __init__(self, latent: int = 6, hidden: int = 96) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(64, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 2 * latent)
        )
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, 64)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar) if self.training else mu
        return self.decoder(z), mu, logvar


class Experiment:
    """fit() runs the epochs; subclasses or callers may read self.history."""

    def __init__(self, seed: int = 71) -> None:
        torch.manual_seed(seed)
        gen = torch.Generator().manual_seed(seed)
        train, test = outlines(2000, gen), outlines(500, gen)
        self.mean, self.std = train.mean(0), train.std()
        self.train_set, self.test_set = (train - self.mean) / self.std, (test - self.mean) / self.std
        self.model = LeafVAE()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.history: list[tuple[float, float, float]] = []

    def loss(self, x: Tensor) -> tuple[Tensor, Tensor]:
        recon, mu, logvar = self.model(x)
        rec = F.mse_loss(recon, x)
        kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()
        return rec, kl

    def epoch(self) -> tuple[float, float]:
        self.model.train()
        sums = torch.zeros(2)
        for rows in torch.randperm(len(self.train_set)).split(50):
            rec, kl = self.loss(self.train_set[rows])
            self.optimizer.zero_grad()
            (rec + kl).backward()
            self.optimizer.step()
            sums += torch.stack([rec, kl]).detach() * len(rows)
        rec, kl = (sums / len(self.train_set)).tolist()
        return rec, kl

    @torch.no_grad()
    def test_error(self) -> float:
        self.model.eval()
        recon, _, _ = self.model(self.test_set)
        return F.mse_loss(recon, self.test_set).item()

    def fit(self, epochs: int) -> None:
        for n in range(1, epochs + 1):
            self.history.append((*self.epoch(), self.test_error()))
            if n % 5 == 0:
                print("epoch {} rec {:.3f} kl {:.3f} test mse {:.4f}".format(n, *self.history[-1]))


if __name__ == "__main__":
    Experiment().fit(30)
