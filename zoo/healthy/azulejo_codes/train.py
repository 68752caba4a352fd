"""Azulejo tiles as sixteen small numbers: a VQ-VAE whose codebook follows moving averages."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
SIDE, WORDS, DIM, BATCH, STEPS = 16, 128, 12, 64, 800


def paint(n, gen):
    """Quarter-symmetric tiles: two arcs painted in one corner and mirrored twice."""
    axis = torch.arange(SIDE // 2).float()
    yy, xx = torch.meshgrid(axis, axis, indexing="ij")
    corner = torch.zeros(n, SIDE // 2, SIDE // 2)
    for _ in range(2):
        cy, cx = (torch.rand(2, n, 1, 1, generator=gen) * 8).unbind(0)
        radius = torch.rand(n, 1, 1, generator=gen) * 4 + 1.0
        ring = torch.exp(-((((yy - cy) ** 2 + (xx - cx) ** 2).sqrt() - radius) / 0.8) ** 2)
        corner = torch.maximum(corner, ring * (0.5 + 0.5 * torch.rand(n, 1, 1, generator=gen)))
    half = torch.cat([corner, corner.flip(2)], dim=2)
    return torch.cat([half, half.flip(1)], dim=1).unsqueeze(1)


class Codebook(nn.Module):
    def __init__(self, words, dim, decay=0.97):
        super().__init__()
        self.decay = decay
        self.register_buffer("words", torch.randn(words, dim))
        self.register_buffer("count", torch.ones(words))
        self.register_buffer("total", self.words.clone())

    @torch.no_grad()
    def follow(self, flat, index):
        hot = F.one_hot(index, len(self.words)).to(flat.dtype)
        self.count.lerp_(hot.sum(0), 1 - self.decay)
        self.total.lerp_(hot.t() @ flat, 1 - self.decay)
        self.words.copy_(self.total / self.count.clamp_min(1e-3).unsqueeze(1))
        idle = self.count < 0.5
        if idle.any():
            fresh = flat[torch.randint(0, len(flat), (int(idle.sum()),))]
            self.words[idle], self.total[idle], self.count[idle] = fresh, fresh, 1.0

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        index = torch.cdist(flat.detach(), self.words).argmin(1)
        chosen = self.words[index].view(z.shape[0], z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        commitment = F.mse_loss(z, chosen)
        if self.training:
            self.follow(flat.detach(), index)
        return z + (chosen - z).detach(), commitment, index


class TileCoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(nn.Conv2d(1, 16, 4, 2, 1), nn.ReLU(), nn.Conv2d(16, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, DIM, 1))
        self.book = Codebook(WORDS, DIM)
        self.decode = nn.Sequential(nn.Conv2d(DIM, 32, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(32, 16, 4, 2, 1), nn.ReLU(),
                                    nn.ConvTranspose2d(16, 1, 4, 2, 1))

    def forward(self, x):
        code, commitment, index = self.book(self.encode(x))
        return self.decode(code), commitment, index


gen = torch.Generator().manual_seed(7)
train, test = paint(4000, gen), paint(500, gen)
centre, scale = train.mean(), train.std()
train, test = (train - centre) / scale, (test - centre) / scale

model = TileCoder()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS, eta_min=1e-5)


def batches():
    while True:
        yield from torch.randperm(len(train)).split(BATCH)


stream = batches()
for step in range(1, STEPS + 1):
    tiles = train[next(stream)]
    rebuilt, commitment, index = model(tiles)
    error = F.mse_loss(rebuilt, tiles)
    loss = error + 0.25 * commitment
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    scheduler.step()
    if step % 100 == 0:
        used = torch.bincount(index, minlength=WORDS).float() / len(index)
        perplexity = math.exp(-(used * used.clamp_min(1e-9).log()).sum().item())
        print(f"step {step}: error {error.item():.4f} commitment {commitment.item():.4f} words in use {perplexity:.1f}")

model.eval()
with torch.no_grad():
    rebuilt, _, index = model(test)
    explained = 1 - F.mse_loss(rebuilt, test).item() / F.mse_loss(train.mean(0, keepdim=True).expand_as(test), test).item()
print(f"16 codes a tile explain {explained:.3f} of the variance of unseen tiles, {len(index.unique())} of {WORDS} words in use")
