"""Vector-quantised autoencoder for stencils; the code book follows running means, not gradients."""
import os
import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)


def stencils(n, size=12):
    """Bars, boxes and discs cut out of a sheet."""
    yy, xx = np.mgrid[0:size, 0:size]
    out = np.zeros((n, size, size), np.float32)
    for i in range(n):
        kind = np.random.randint(4)
        cy, cx = np.random.uniform(3, size - 4, 2)
        r = np.random.uniform(2, 4)
        if kind == 0:
            hole = abs(yy - cy) < r / 2
        elif kind == 1:
            hole = abs(xx - cx) < r / 2
        elif kind == 2:
            hole = (abs(yy - cy) < r) & (abs(xx - cx) < r)
        else:
            hole = (yy - cy) ** 2 + (xx - cx) ** 2 < r * r
        out[i] = hole
    return torch.from_numpy(out).unsqueeze(1)


class CodeBook(nn.Module):
    def __init__(self, n_codes=48, dim=12, decay=0.95):
        super().__init__()
        self.decay = decay
        self.register_buffer("codes", torch.randn(n_codes, dim))
        self.register_buffer("count", torch.ones(n_codes))
        self.register_buffer("total", self.codes.clone())
        self.register_buffer("ready", torch.tensor(False))

    @torch.no_grad()
    def follow(self, flat, idx):
        hot = F.one_hot(idx, len(self.codes)).float()
        self.count.lerp_(hot.sum(0), 1 - self.decay)
        self.total.lerp_(hot.t() @ flat, 1 - self.decay)
        self.codes.copy_(self.total / (self.count + 1e-5).unsqueeze(1))
        idle = self.count < 0.3
        if idle.any():
            fresh = flat[torch.randint(len(flat), (int(idle.sum()),))]
            self.codes[idle], self.total[idle], self.count[idle] = fresh, fresh, 1.0

    def forward(self, z):
        b, d, h, w = z.shape
        flat = z.detach().permute(0, 2, 3, 1).reshape(-1, d)
        if self.training and not self.ready:
            self.codes.copy_(flat[torch.randint(len(flat), (len(self.codes),))])
            self.total.copy_(self.codes)
            self.ready.fill_(True)
        idx = torch.cdist(flat, self.codes).argmin(1)
        q = self.codes[idx].view(b, h, w, d).permute(0, 3, 1, 2)
        if self.training:
            self.follow(flat, idx)
        commitment = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commitment, idx


class VQ(nn.Module):
    def __init__(self, dim=12):
        super().__init__()
        self.enc = nn.Sequential(
            nn.Conv2d(1, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(24, 32, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, dim, 1),
        )
        self.book = CodeBook(dim=dim)
        self.dec = nn.Sequential(
            nn.Conv2d(dim, 32, 3, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 24, 4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(24, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        q, commitment, idx = self.book(self.enc(x))
        return self.dec(q), commitment, idx


def main():
    train, test = stencils(2000), stencils(300)
    model = VQ()
    opt = torch.optim.Adam(model.parameters(), lr=3e-3)
    epochs = 18
    sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, epochs)
    for epoch in range(epochs):
        model.train()
        rec_sum, used = 0.0, set()
        for idx in torch.randperm(len(train)).split(64):
            x = train[idx]
            out, commitment, codes = model(x)
            rec = F.mse_loss(out, x)
            loss = rec + 0.1 * commitment
            opt.zero_grad()
            loss.backward()
            opt.step()
            rec_sum += rec.item() * len(x)
            used.update(codes.tolist())
        sched.step()
        if epoch % 3 == 0:
            print(f"epoch {epoch:2d}  reconstruction {rec_sum / len(train):.4f}  codes in use {len(used)}")
    model.eval()
    with torch.no_grad():
        err = F.mse_loss(model(test)[0], test).item()
    flat_err = F.mse_loss(train.mean(0, keepdim=True).expand_as(test), test).item()
    print(f"error of the mean sheet {flat_err:.4f}")
    print(f"test reconstruction {err:.4f}")


if __name__ == "__main__":
    main()
