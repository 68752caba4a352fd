"""Profiles of pottery sherds: a variational autoencoder over 48 points of a vessel's outline."""
import math

import torch
from torch import Tensor, nn

POINTS = 48


def profiles(n: int) -> Tensor:
    """Outlines between rim and foot: a belly, a neck and a fluted wall, standardised to about unit range."""
    h = torch.linspace(0, 1, POINTS)
    belly = 0.3 + 0.4 * torch.rand(n, 1)
    width = 0.12 + 0.1 * torch.rand(n, 1)
    neck = 0.5 * torch.rand(n, 1)
    flutes = 0.15 * torch.rand(n, 1)
    phase = 2 * math.pi * torch.rand(n, 1)
    shape = torch.exp(-((h - belly) ** 2) / (2 * width**2)) - neck * h**2 + flutes * torch.sin(18 * h + phase)
    return (shape - 0.3) / 0.4 + 0.03 * torch.randn(n, POINTS)


class SherdVAE(nn.Module):
    def __init__(self, latent: int = 6, hidden: int = 96):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(POINTS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
        self.mu = nn.Linear(hidden, latent)
        self.log_var = nn.Linear(hidden, latent)
        self.dec = nn.Sequential(
            nn.Linear(latent, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, POINTS)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = self.enc(x)
        mu, log_var = self.mu(h), self.log_var(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * log_var) if self.training else mu
        return self.dec(z), mu, log_var


def elbo(x: Tensor, out: tuple[Tensor, Tensor, Tensor], noise: float = 0.15) -> Tensor:
    recon, mu, log_var = out
    log_lik = -0.5 * ((x - recon) / noise).square().sum(1) - POINTS * math.log(noise * math.sqrt(2 * math.pi))
    kl = 0.5 * (mu.square() + log_var.exp() - 1 - log_var).sum(1)
    return (log_lik - kl).mean()


class Trainer:
    def __init__(self, model: SherdVAE, epochs: int = 24, batch_size: int = 50):
        self.model = model
        self.epochs = epochs
        self.batch_size = batch_size
        self.optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
        self.scheduler = torch.optim.lr_scheduler.StepLR(self.optimizer, step_size=6, gamma=0.5)

    def run_epoch(self, data: Tensor) -> float:
        self.model.train()
        total = 0.0
        for rows in torch.randperm(len(data)).split(self.batch_size):
            batch = data[rows]
            loss = -elbo(batch, self.model(batch))
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.scheduler.step()
            total += loss.item() * len(batch)
        return total / len(data)

    @torch.no_grad()
    def evaluate(self, data: Tensor) -> float:
        self.model.eval()
        recon, _, _ = self.model(data)
        return (data - recon).square().mean().sqrt().item()

    def fit(self, train: Tensor, test: Tensor) -> None:
        for epoch in range(1, self.epochs + 1):
            loss = self.run_epoch(train)
            if epoch % 4 == 0:
                print(f"epoch {epoch} -elbo {loss:.2f} test rmse {self.evaluate(test):.4f}")


torch.manual_seed(33)
outlines = profiles(2500)
Trainer(SherdVAE()).fit(outlines[:2000], outlines[2000:])
