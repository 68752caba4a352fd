"""A variational autoencoder of enamel plates with numbers (8x8), ported from a TensorFlow tutorial."""
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader

SEED = int(os.environ.get("SEED", "0"))
CONFIG = {"latent": 8, "hidden": 128, "epochs": 30, "batch": 64, "lr": 2e-3}


class PlateVAE(nn.Module):
    def __init__(self, latent, hidden):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, 2 * latent))
        self.dec = nn.Sequential(nn.Linear(latent, hidden), nn.ReLU(), nn.Linear(hidden, 64))

    def forward(self, x):
        mu, logvar = self.enc(x).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.dec(z), mu, logvar

    def reconstruct(self, x):
        mu, _ = self.enc(x).chunk(2, dim=1)
        return torch.sigmoid(self.dec(mu))


def elbo_terms(model, x):
    logits, mu, logvar = model(x)
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(dim=1).mean()
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(dim=1)
    return rec, kl.mean()


def train_epoch(model, loader, opt):
    model.train()
    sums = np.zeros(2)
    for x in loader:
        rec, kl = elbo_terms(model, x)
        opt.zero_grad()
        (rec + kl).backward()
        opt.step()
        sums += [rec.item(), kl.item()]
    return sums / len(loader)


def main(config):
    random.seed(SEED)
    np.random.seed(SEED)
    torch.manual_seed(SEED)
    data = load_digits().data
    np.random.shuffle(data)
    x = torch.tensor(data / 16.0, dtype=torch.float32)
    train, test = x[:1400], x[1400:]
    loader = DataLoader(train, config["batch"], shuffle=True, drop_last=True)
    model = PlateVAE(config["latent"], config["hidden"])
    opt = torch.optim.Adam(model.parameters(), lr=config["lr"])
    for epoch in range(config["epochs"]):
        rec, kl = train_epoch(model, loader, opt)
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1} reconstruction {rec:.4f} kl {kl:.4f}")
    model.eval()
    with torch.no_grad():
        error = F.mse_loss(model.reconstruct(test), test).item()
    baseline = (test - train.mean(0)).pow(2).mean().item()
    print(f"test error {error:.4f} mean plate {baseline:.4f}")
    print(f"explained {1 - error / baseline:.4f}")


if __name__ == "__main__":
    main(CONFIG)
