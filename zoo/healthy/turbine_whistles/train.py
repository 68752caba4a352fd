"""Alarms for turbine blades without examples of faults.

A denoising autoencoder is trained on spectra of sound blades.  What it cannot
rebuild is an alarm; the threshold is the 99 % quantile on held-out sound blades.
"""
import os

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
BINS = 64


def spectra(n, rng, whistle=False):
    """Harmonics of the rotor speed over a wind-dependent slope, in decibels."""
    f = np.arange(BINS)
    speed = rng.uniform(5, 9, (n, 1))
    wind = rng.uniform(0, 1, (n, 1))
    out = -0.25 * f[None] * (1.2 - 0.6 * wind) + 10 * wind
    for h in range(1, 6):
        out = out + (12 - 2 * h) * np.exp(-0.5 * ((f - h * speed) / 1.3) ** 2)
    if whistle:                                    # a crack gives a thin tone somewhere high
        where = rng.uniform(25, 60, (n, 1))
        out = out + rng.uniform(3, 7, (n, 1)) * np.exp(-0.5 * ((f - where) / 1.2) ** 2)
    return (out + rng.normal(0, 0.8, out.shape)).astype(np.float32)


class AutoEncoder(nn.Module):
    def __init__(self, code=6):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(BINS, 96), nn.ELU(), nn.Linear(96, 48), nn.ELU(), nn.Linear(48, code))
        self.decoder = nn.Sequential(nn.Linear(code, 48), nn.ELU(), nn.Linear(48, 96), nn.ELU(), nn.Linear(96, BINS))

    def forward(self, x):
        return self.decoder(self.encoder(x))

    @torch.no_grad()
    def anomaly(self, x):
        self.eval()
        error = (self(x) - x).square()
        # a whistle is narrow: take the worst neighbourhood of three bins
        return nn.functional.avg_pool1d(error.unsqueeze(1), 3, stride=1).squeeze(1).max(1).values


def main():
    torch.manual_seed(SEED)
    rng = np.random.default_rng(SEED)
    train, valid = spectra(6000, rng), spectra(1000, rng)
    sound, cracked = spectra(500, rng), spectra(500, rng, whistle=True)
    mean, std = train.mean(0), train.std()
    train, valid, sound, cracked = (torch.from_numpy((a - mean) / std) for a in (train, valid, sound, cracked))

    model = AutoEncoder()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    epochs, batch = 24, 64
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, epochs=epochs, steps_per_epoch=-(-len(train) // batch))
    for epoch in range(epochs):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(train)).split(batch):
            clean = train[idx]
            noisy = clean + 0.05 * torch.randn_like(clean)
            loss = (model(noisy) - clean).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item() * len(idx)
        if epoch % 4 == 3:
            with torch.no_grad():
                model.eval()
                v = (model(valid) - valid).square().mean().item()
            print(f"epoch {epoch + 1:2d}  train {total / len(train):.5f}  valid {v:.5f}  (noise {(0.8 / std) ** 2:.5f})")

    threshold = torch.quantile(model.anomaly(valid), 0.99)
    a, b = model.anomaly(sound), model.anomaly(cracked)
    auc = roc_auc_score([0] * len(a) + [1] * len(b), torch.cat([a, b]))
    print(f"false alarms {(a > threshold).float().mean():.3f}  cracks found {(b > threshold).float().mean():.3f}  AUC {auc:.4f}")


if __name__ == "__main__":
    main()
