# Quilts as a grid of tokens: a VQ-VAE with a codebook that is kept by moving averages.
import os
import random

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def quilts(n, rng):
    """16 x 16, four by four patches, each with one of eight stitches."""
    r = np.arange(4)
    stitches = np.stack([
        np.ones((4, 4)), -np.ones((4, 4)),
        np.where(r[:, None] % 2, 1, -1) * np.ones((4, 4)), np.where(r[None] % 2, 1, -1) * np.ones((4, 4)),
        np.where((r[:, None] + r[None]) % 2, 1, -1), np.where(r[:, None] > r[None], 1, -1),
        np.where(r[:, None] + r[None] > 3, 1, -1), np.where((r[:, None] // 2 + r[None] // 2) % 2, 1, -1),
    ])
    pick = rng.integers(0, 8, (n, 4, 4))
    img = stitches[pick].transpose(0, 1, 3, 2, 4).reshape(n, 1, 16, 16)
    return torch.tensor(img + rng.normal(0, 0.1, img.shape), dtype=torch.float32)


class Codebook(nn.Module):
    def __init__(self, n_codes=24, dim=8, decay=0.95, eps=1e-5):
        super().__init__()
        self.decay, self.eps = decay, eps
        start = torch.randn(n_codes, dim)
        self.register_buffer("codes", start)
        self.register_buffer("count", torch.ones(n_codes))
        self.register_buffer("total", start.clone())

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        with torch.no_grad():
            index = torch.cdist(flat, self.codes).argmin(1)
            if self.training:
                self.update(flat, index)
        q = self.codes[index].view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        commit = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commit, index

    def update(self, flat, index):
        hot = F.one_hot(index, len(self.codes)).float()
        self.count.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
        self.total.mul_(self.decay).add_(hot.T @ flat, alpha=1 - self.decay)
        self.codes = self.total / (self.count + self.eps).unsqueeze(1)
        # codes that nobody uses are put onto random inputs
        dead = self.count < 0.5
        if dead.any():
            fresh = flat[torch.randint(len(flat), (int(dead.sum()),))]
            self.codes[dead], self.total[dead], self.count[dead] = fresh, fresh, 1.0


class VQVAE(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(24, 32, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, dim, 1),
        )
        self.codebook = Codebook(dim=dim)
        self.decode = nn.Sequential(
            nn.Conv2d(dim, 32, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(24, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        q, commit, index = self.codebook(self.encode(x))
        return self.decode(q), commit, index


rng = np.random.default_rng(seed)
train_x, test_x = quilts(2000, rng), quilts(300, rng)
model = VQVAE()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)

for epoch in range(10):
    model.train()
    rec_sum = commit_sum = 0.0
    parts = torch.randperm(len(train_x)).split(50)
    for idx in parts:
        x = train_x[idx]
        out, commit, index = model(x)
        rec = F.mse_loss(out, x)
        loss = rec + 0.25 * commit
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rec_sum, commit_sum = rec_sum + rec.item(), commit_sum + commit.item()
    used = len(index.unique())
    print(f"epoch {epoch + 1:2d}  reconstruction {rec_sum / len(parts):.4f}  commitment {commit_sum / len(parts):.4f}  codes in use {used}")

model.eval()
with torch.no_grad():
    out, _, index = model(test_x)
print(f"variance of the quilts {test_x.var().item():.4f}")
print(f"test reconstruction error {F.mse_loss(out, test_x).item():.4f}")
