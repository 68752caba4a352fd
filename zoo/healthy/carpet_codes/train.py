"""VQ-VAE of woven carpet patches with a codebook kept by moving averages (no gradient reaches the codebook)."""
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


def weave(n):
    """12x12 patches: a stripe or check of a random period, direction and phase."""
    r = torch.arange(12).float()
    out = torch.empty(n, 1, 12, 12)
    for i in range(n):
        period = random.choice([3.0, 4.0, 6.0])
        a = torch.sin(2 * np.pi * (r + random.random() * period) / period)
        b = torch.sin(2 * np.pi * (r + random.random() * period) / period)
        kind = random.randrange(3)
        if kind == 0:
            img = a[:, None].expand(12, 12)
        elif kind == 1:
            img = a[None, :].expand(12, 12)
        else:
            img = a[:, None] * b[None, :]
        out[i, 0] = img + 0.05 * torch.randn(12, 12)
    return out


class Codebook(nn.Module):
    def __init__(self, n_codes=64, dim=8, decay=0.95):
        super().__init__()
        self.decay = decay
        codes = torch.randn(n_codes, dim) * 0.3
        self.register_buffer("codes", codes)
        self.register_buffer("count", torch.ones(n_codes))
        self.register_buffer("total", codes.clone())

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        which = torch.cdist(flat.detach(), self.codes).argmin(dim=1)
        q = self.codes[which].view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        if self.training:
            with torch.no_grad():
                onehot = F.one_hot(which, len(self.codes)).float()
                self.count.mul_(self.decay).add_(onehot.sum(0), alpha=1 - self.decay)
                self.total.mul_(self.decay).add_(onehot.t() @ flat, alpha=1 - self.decay)
                self.codes.copy_(self.total / self.count.clamp_min(1e-3).unsqueeze(1))
                idle = self.count < 0.1  # codes nobody uses start afresh from the batch
                if idle.any():
                    fresh = flat[torch.randint(len(flat), (int(idle.sum()),))]
                    self.codes[idle] = fresh
                    self.total[idle] = fresh
                    self.count[idle] = 1.0
        commit = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commit, which


encoder = nn.Sequential(
    nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(),
    nn.Conv2d(32, 8, 1),
)
codebook = Codebook()
decoder = nn.Sequential(
    nn.Conv2d(8, 32, 3, padding=1), nn.ReLU(),
    nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.ReLU(),
    nn.Conv2d(16, 1, 3, padding=1),
)
train_x, test_x = weave(1024), weave(256)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=2e-3)

for epoch in range(1, 21):
    codebook.train()
    total = 0.0
    for x in train_x[torch.randperm(len(train_x))].split(64):
        q, commit, _ = codebook(encoder(x))
        recon = decoder(q)
        loss = F.mse_loss(recon, x) + 0.25 * commit
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    if epoch % 4 == 0:
        codebook.eval()
        with torch.no_grad():
            q, _, which = codebook(encoder(test_x))
            err = F.mse_loss(decoder(q), test_x).item()
        print(f"epoch {epoch} loss {total / 16:.4f} test error {err:.4f} codes in use {which.unique().numel()}")

print(f"explained share of the patches {1 - err / test_x.var().item():.4f}")
