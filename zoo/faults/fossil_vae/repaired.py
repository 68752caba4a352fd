"""VAE on outlines of fossil shells (drawn), to get a small code for each find."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

SIZE = 20
KLD_WEIGHT = 0.0005
LATENT = 6


def shell(rng):
    yy, xx = np.mgrid[0:SIZE, 0:SIZE] - (SIZE - 1) / 2
    yy = yy - rng.uniform(-2, 2)
    xx = xx - rng.uniform(-2, 2)
    angle = np.arctan2(yy, xx) + rng.uniform(0, 2 * np.pi)
    radius = np.hypot(yy, xx)
    ribs = rng.integers(2, 5)
    edge = rng.uniform(4.0, 7.0) * (1 + 0.22 * np.cos(ribs * angle))
    return 1 / (1 + np.exp((radius - edge) * 2.0))


class ShellVAE(nn.Module):
    def __init__(self, latent=LATENT):
        super().__init__()
        self.enc = nn.Sequential(nn.Flatten(), nn.Linear(SIZE * SIZE, 200), nn.ReLU(), nn.Linear(200, 80), nn.ReLU())
        self.to_mu = nn.Linear(80, latent)
        self.to_logvar = nn.Linear(80, latent)
        self.dec = nn.Sequential(nn.Linear(latent, 80), nn.ReLU(), nn.Linear(80, 200), nn.ReLU(),
                                 nn.Linear(200, SIZE * SIZE), nn.Sigmoid())

    def encode(self, x):
        h = self.enc(x)
        return self.to_mu(h), self.to_logvar(h)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        return mu + torch.randn_like(std) * std

    def forward(self, x):
        mu, logvar = self.encode(x)
        z = self.reparameterize(mu, logvar)
        return self.dec(z).view(-1, 1, SIZE, SIZE), mu, logvar


def loss_function(recon, x, mu, logvar):
    recons_loss = F.mse_loss(recon, x)
    kld_loss = torch.mean(-0.5 * torch.sum(1 + logvar - mu ** 2 - logvar.exp(), dim=1), dim=0)
    loss = recons_loss + KLD_WEIGHT * kld_loss
    return {"loss": loss, "recon": recons_loss.detach(), "kld": kld_loss.detach()}


def load():
    rng = np.random.default_rng(seed)
    x = np.stack([shell(rng) for _ in range(2400)])
    x = torch.tensor(x, dtype=torch.float32).unsqueeze(1)
    return x[:2000], x[2000:]


def run():
    train_x, test_x = load()
    loader = DataLoader(TensorDataset(train_x), batch_size=50, shuffle=True)
    vae = ShellVAE()
    opt = torch.optim.Adam(vae.parameters(), lr=1e-3)
    for epoch in range(16):
        vae.train()
        sums = {"loss": 0.0, "recon": 0.0, "kld": 0.0}
        for (x,) in loader:
            recon, mu, logvar = vae(x)
            parts = loss_function(recon, x, mu, logvar)
            opt.zero_grad()
            parts["loss"].backward()
            opt.step()
            for k in sums:
                sums[k] += parts[k].item() / len(loader)
        if epoch % 2 == 1:
            print("epoch", epoch + 1, " ".join(f"{k} {v:.5f}" for k, v in sums.items()))

    vae.eval()
    with torch.no_grad():
        mu, _ = vae.encode(test_x)
        back = vae.dec(mu).view(-1, 1, SIZE, SIZE)
        err = F.mse_loss(back, test_x).item()
    explained = 1 - err / test_x.sub(train_x.mean(0)).pow(2).mean().item()
    print("code of the first find:", [round(v, 2) for v in mu[0].tolist()])
    print(f"explained share of the test outlines: {explained:.4f}")


run()
