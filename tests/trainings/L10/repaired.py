"""Variational autoencoder of handwritten digits."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(0)

pixels = torch.tensor(load_digits().data, dtype=torch.float32) / 16
train, test = pixels[:1500], pixels[1500:]


class VAE(nn.Module):
    def __init__(self, latent=6):
        super().__init__()
        self.encode = nn.Sequential(nn.Linear(64, 48), nn.ReLU())
        self.mu = nn.Linear(48, latent)
        self.logvar = nn.Linear(48, latent)
        self.decode = nn.Sequential(nn.Linear(latent, 48), nn.ReLU(), nn.Linear(48, 64))

    def forward(self, x):
        h = self.encode(x)
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decode(z), mu, logvar


def elbo(logits, mu, logvar, x):
    divergence = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    return (reconstruction + divergence) / len(x)


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(6):
    for rows in torch.randperm(len(train)).split(50):
        x = train[rows]
        loss = elbo(*model(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        _, mu, _ = model(test)
    print(f"epoch {epoch}: loss {loss.item():.3f}, spread of the codes {mu.std(0).mean():.4f}")
