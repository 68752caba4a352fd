"""A variational autoencoder of the measurements of wines."""

import torch
import torch.nn.functional as F
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(0)
table = torch.tensor(load_wine().data).float()
x = (table - table.mean(0)) / table.std(0)
encoder = nn.Sequential(nn.Linear(13, 48), nn.ReLU(), nn.Linear(48, 8))
decoder = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 13))
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=3e-3)

for step in range(240):
    batch = x[torch.randperm(len(x))[:60]]
    mean, log_variance = encoder(batch).chunk(2, dim=1)
    z = mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance)
    reconstruction = F.mse_loss(decoder(z), batch, reduction="sum") / len(batch)
    divergence = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1).mean()
    optimizer.zero_grad()
    (reconstruction + divergence).backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: reconstruction {reconstruction.item():.3f}, divergence {divergence.item():.3f}")
