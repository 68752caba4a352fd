"""A variational autoencoder of digits: an encoder, a draw, and a decoder."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import nn


class Autoencoder(nn.Module):
    def __init__(self, latent: int = 8) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(64, 96), nn.ReLU())
        self.mean, self.log_variance = nn.Linear(96, latent), nn.Linear(96, latent)
        self.decoder = nn.Sequential(nn.Linear(latent, 96), nn.ReLU(), nn.Linear(96, 64))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        hidden = self.encoder(x)
        mean, log_variance = self.mean(hidden), self.log_variance(hidden)
        std = (0.5 * log_variance).exp()
        code = torch.normal(mean, std)
        return self.decoder(code), mean, log_variance


torch.manual_seed(1)
images = torch.tensor(load_digits().data / 16, dtype=torch.float32)
model = Autoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for _epoch in range(15):
    for rows in torch.randperm(len(images)).split(64):
        x = images[rows]
        prediction, mean, log_variance = model(x)
        reconstruction = F.mse_loss(prediction, x, reduction="sum") / len(x)
        divergence = -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()
        loss = reconstruction + 0.1 * divergence
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
print(f"reconstruction {reconstruction.item():.3f}")
