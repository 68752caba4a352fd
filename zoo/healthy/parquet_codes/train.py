"""Parquet floors of 9 blocks each, 16 block patterns: a VQ-VAE should find the patterns again."""
import os

import torch
import torch.nn.functional as F
from torch import nn

SEED = int(os.environ.get("SEED", "0"))
CODES, DIM, BLOCK, SIDE = 32, 8, 4, 3
NOISE = 0.2


class Quantizer(nn.Module):
    def __init__(self, decay=0.97):
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(CODES, DIM))
        self.register_buffer("count", torch.ones(CODES))
        self.register_buffer("sums", self.codes.clone())

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, DIM)
        idx = torch.cdist(flat.detach(), self.codes).argmin(1)
        if self.training:
            self.move_codes(flat.detach(), idx)
        q = self.codes[idx].view(z.shape[0], SIDE, SIDE, DIM).permute(0, 3, 1, 2)
        commit = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commit, idx

    @torch.no_grad()
    def move_codes(self, flat, idx):
        hot = F.one_hot(idx, CODES).float()
        self.count.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(hot.t() @ flat, alpha=1 - self.decay)
        dead = self.count < 0.5
        if dead.any():
            fresh = flat[torch.randint(0, len(flat), (int(dead.sum()),))]
            self.sums[dead] = fresh
            self.count[dead] = 1.0
        self.codes.copy_(self.sums / self.count.unsqueeze(1))


class VQVAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(1, 64, BLOCK, stride=BLOCK), nn.ReLU(), nn.Conv2d(64, DIM, 1))
        self.vq = Quantizer()
        self.dec = nn.Sequential(nn.Conv2d(DIM, 64, 1), nn.ReLU(), nn.ConvTranspose2d(64, 1, BLOCK, stride=BLOCK))

    def forward(self, x):
        q, commit, idx = self.vq(self.enc(x))
        return self.dec(q), commit, idx


def floors(n, patterns):
    kinds = torch.randint(0, len(patterns), (n, SIDE, SIDE))
    clean = patterns[kinds].permute(0, 1, 3, 2, 4).reshape(n, 1, SIDE * BLOCK, SIDE * BLOCK)
    return clean + NOISE * torch.randn_like(clean), clean, kinds


def main():
    torch.manual_seed(SEED)
    patterns = (torch.rand(16, BLOCK, BLOCK) < 0.5).float()
    xtr, _, _ = floors(3000, patterns)
    xte, clean, kinds = floors(600, patterns)
    model = VQVAE()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(20):
        model.train()
        total = 0.0
        for idx in torch.randperm(len(xtr)).split(32):
            recon, commit, _ = model(xtr[idx])
            loss = F.mse_loss(recon, xtr[idx]) + 0.25 * commit
            opt.zero_grad()
            loss.backward()
            opt.step()
            total += loss.item() * len(idx)
        if epoch % 4 == 3:
            print(f"epoch {epoch + 1} loss {total / len(xtr):.4f} (noise alone {NOISE ** 2:.3f})")
    model.eval()
    with torch.no_grad():
        recon, _, codes = model(xte)
    share = torch.bincount(codes, minlength=CODES).float() / len(codes)
    perplexity = torch.exp(-(share * (share + 1e-12).log()).sum()).item()
    table = torch.zeros(CODES, 16)
    table.index_put_((codes, kinds.flatten()), torch.ones(len(codes)), accumulate=True)
    purity = table.max(1)[0].sum().item() / len(codes)
    print(f"error to the clean floors {F.mse_loss(recon, clean).item():.4f} (always the mean: {clean.var().item():.3f}); "
          f"code perplexity {perplexity:.1f}, purity {purity:.3f}")


main()
