"""VQ-VAE on small numerals: every image becomes four of 64 dies.

The codebook is learned by exponential moving averages (no gradient), dead codes
are re-seeded from the batch.
"""
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

SEED = int(os.environ.get("SEED", "0"))


class Codebook(nn.Module):
    def __init__(self, size=64, dim=12, decay=0.98):
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(size, dim))
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.codes.clone())
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        if self.training and not self.ready:
            self.reseed(torch.ones(len(self.codes), dtype=torch.bool), flat.detach())
            self.ready.fill_(True)
        index = torch.cdist(flat, self.codes).argmin(1)
        chosen = self.codes[index].view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        if self.training:
            self.move(flat.detach(), index)
        commitment = F.mse_loss(z, chosen.detach())
        return z + (chosen - z).detach(), commitment, index

    @torch.no_grad()
    def move(self, flat, index):
        onehot = F.one_hot(index, len(self.codes)).float()
        self.counts.mul_(self.decay).add_(onehot.sum(0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(onehot.t() @ flat, alpha=1 - self.decay)
        self.codes.copy_(self.sums / self.counts.clamp_min(1e-3).unsqueeze(1))
        dead = self.counts < 0.05
        if dead.any():
            self.reseed(dead, flat)

    @torch.no_grad()
    def reseed(self, which, flat):
        pick = flat[torch.randint(0, len(flat), (int(which.sum()),))]
        self.codes[which] = pick
        self.sums[which] = pick
        self.counts[which] = 1.0


class VQVAE(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(24, 40, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(40, dim, 1))
        self.book = Codebook(dim=dim)
        self.decoder = nn.Sequential(
            nn.Conv2d(dim, 40, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(40, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(24, 1, 4, stride=2, padding=1))

    def forward(self, x):
        quantized, commitment, index = self.book(self.encoder(x))
        return self.decoder(quantized), commitment, index


def perplexity(index, size=64):
    p = torch.bincount(index, minlength=size).float()
    p = p / p.sum()
    return torch.exp(-(p * (p + 1e-10).log()).sum()).item()


def main():
    torch.manual_seed(SEED)
    images = torch.tensor(load_digits().images, dtype=torch.float32).unsqueeze(1) / 16
    order = torch.randperm(len(images))
    train, test = images[order[:1500]], images[order[1500:]]

    model = VQVAE()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    epochs = 25
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=1e-4)
    for epoch in range(epochs):
        model.train()
        rebuilt_total = commit_total = 0.0
        batches = torch.randperm(len(train)).split(64)
        for idx in batches:
            rebuilt, commitment, _ = model(train[idx])
            error = F.mse_loss(rebuilt, train[idx])
            loss = error + 0.05 * commitment
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rebuilt_total += error.item()
            commit_total += commitment.item()
        scheduler.step()
        if epoch % 5 == 4:
            print(f"epoch {epoch + 1:2d}  error {rebuilt_total / len(batches):.5f}  commitment {commit_total / len(batches):.4f}")

    model.eval()
    with torch.no_grad():
        rebuilt, _, index = model(test)
    error = F.mse_loss(rebuilt, test).item()
    base = F.mse_loss(train.mean(0, keepdim=True).expand_as(test), test).item()
    flat = train.flatten(1)
    _, _, v = torch.pca_lowrank(flat, q=4, niter=4)
    centred = test.flatten(1) - flat.mean(0)
    pca = (centred - centred @ v @ v.t()).square().mean().item()
    print(f"test error {error:.5f}: {100 * (1 - error / base):.1f} % explained with 24 bits "
          f"(four real PCA numbers: {100 * (1 - pca / base):.1f} %), codebook perplexity {perplexity(index):.1f} of 64")


if __name__ == "__main__":
    main()
