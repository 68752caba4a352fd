"""Stained-glass panes, 12x12, put together from a glazier's stock of small motifs: a VQ-VAE.

The codebook is not trained by gradient at all: it is an EMA of the encoder outputs that chose each
code (van den Oord et al., appendix A), with dead codes re-seeded.  The straight-through estimator
carries the decoder's gradient to the encoder.
"""
import os

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))
GEN = torch.Generator().manual_seed(7)                      # the glazier's stock is the same for all seeds
MOTIFS = (torch.rand(10, 3, 4, 4, generator=GEN) > 0.5).float()


def panes(n):
    pick = torch.randint(10, (n, 3, 3))
    p = MOTIFS[pick]                                        # n 3 3 c 4 4
    img = p.permute(0, 3, 1, 4, 2, 5).reshape(n, 3, 12, 12)
    return (img + 0.05 * torch.randn_like(img)), pick


class Codebook(nn.Module):
    def __init__(self, k, d, decay=0.97):
        super().__init__()
        self.k, self.decay = k, decay
        self.register_buffer("codes", torch.randn(k, d))
        self.register_buffer("count", torch.ones(k))
        self.register_buffer("total", self.codes.clone())
        self.started = False

    def forward(self, z):
        flat = z.detach().permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        if self.training and not self.started:
            self.codes.copy_(flat[torch.randperm(len(flat))[:self.k]])
            self.total.copy_(self.codes)
            self.started = True
        ids = torch.cdist(flat, self.codes).argmin(1)
        if self.training:
            hot = F.one_hot(ids, self.k).float()
            self.count.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
            self.total.mul_(self.decay).add_(hot.T @ flat, alpha=1 - self.decay)
            self.codes.copy_(self.total / self.count.clamp(min=1e-3)[:, None])
            dead = self.count < 1.0
            if dead.any():
                fresh = flat[torch.randint(len(flat), (int(dead.sum()),))]
                self.codes[dead] = fresh
                self.total[dead], self.count[dead] = fresh * 2, 2.0
        b, d, h, w = z.shape
        q = self.codes[ids].view(b, h, w, d).permute(0, 3, 1, 2)
        return z + (q - z).detach(), F.mse_loss(z, q), ids.view(b, h, w)


class Glazier(nn.Module):
    def __init__(self, d=16, k=24):
        super().__init__()
        self.enc = nn.Sequential(nn.Conv2d(3, 64, 4, stride=4), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU(), nn.Conv2d(64, d, 1))
        self.book = Codebook(k, d)
        self.dec = nn.Sequential(nn.Conv2d(d, 64, 1), nn.ReLU(), nn.Conv2d(64, 64, 1), nn.ReLU(), nn.ConvTranspose2d(64, 3, 4, stride=4))

    def forward(self, x):
        q, commit, ids = self.book(self.enc(x))
        return self.dec(q), commit, ids


model = Glazier()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
STEPS = 900
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, STEPS)
for step in range(1, STEPS + 1):
    x, _ = panes(64)
    y, commit, ids = model(x)
    rec = F.mse_loss(y, x)
    loss = rec + 0.25 * commit
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if step % 180 == 0:
        use = torch.bincount(ids.flatten(), minlength=24).float()
        p = use / use.sum()
        print(f"{step} rec {rec.item():.4f} commit {commit.item():.4f} perplexity {(-(p * (p + 1e-9).log()).sum()).exp():.1f}")

model.eval()
with torch.no_grad():
    x, pick = panes(500)
    y, _, ids = model(x)
    table = torch.zeros(24, 10)
    table.index_put_((ids.flatten(), pick.flatten()), torch.ones(ids.numel()), accumulate=True)
    purity = table.max(1).values.sum() / table.sum()
print(f"variance explained {1 - F.mse_loss(y, x) / x.var():.3f}  code purity {purity:.3f}  (noise floor 0.990)")
