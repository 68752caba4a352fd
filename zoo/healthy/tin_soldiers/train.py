"""Silhouettes of tin soldiers (12x12) with a VQ autoencoder; the code book is a moving average, not a parameter."""
import os
import random
from typing import Tuple

import numpy as np
import torch
from torch import Tensor, nn
import torch.nn.functional as F

SIDE = 12


def draw_soldier(rng: np.random.Generator) -> np.ndarray:
    img = np.zeros((SIDE, SIDE), dtype=np.float32)
    c = rng.integers(4, 8)
    hat = rng.integers(1, 4)
    img[0:hat, c - 1:c + 1] = 1.0          # hat
    img[hat:hat + 2, c - 1:c + 2] = 0.6    # head
    img[hat + 2:9, c - 2:c + 2] = 0.9      # coat
    img[9:12, c - 2] = img[9:12, c + 1] = 0.8
    if rng.random() < 0.5:
        img[2:9, min(c + 3, 11)] = 1.0     # rifle
    else:
        img[5, max(c - 4, 0):c - 2] = 1.0  # arm
    return np.clip(img + rng.normal(0, 0.05, img.shape), 0, 1).astype(np.float32)


class EMAQuantizer(nn.Module):
    """van den Oord et al., appendix A.1"""

    def __init__(self, n_codes: int, dim: int, decay: float = 0.95) -> None:
        super().__init__()
        self.decay = decay
        book = torch.randn(n_codes, dim) * 0.3
        self.register_buffer("book", book)
        self.register_buffer("count", torch.ones(n_codes))
        self.register_buffer("total", book.clone())

    def forward(self, z: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        d = torch.cdist(z.detach(), self.book)
        if self.training:
            # a code that nobody uses begins anew at a vector of the batch
            dead = (self.count < 0.1).nonzero().flatten()
            if len(dead):
                pick = torch.randint(0, len(z), (len(dead),))
                self.book[dead] = z.detach()[pick]
                self.total[dead] = z.detach()[pick]
                self.count[dead] = 1.0
                d = torch.cdist(z.detach(), self.book)
        idx = d.argmin(dim=1)
        q = self.book[idx]
        if self.training:
            with torch.no_grad():
                hot = F.one_hot(idx, len(self.book)).float()
                self.count.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
                self.total.mul_(self.decay).add_(hot.t() @ z, alpha=1 - self.decay)
                self.book.copy_(self.total / (self.count[:, None] + 1e-5))
        commit = F.mse_loss(z, q.detach())
        return z + (q - z).detach(), commit, idx


class VQAutoencoder(nn.Module):
    def __init__(self, parts: int = 4, dim: int = 8, n_codes: int = 16) -> None:
        super().__init__()
        self.parts, self.dim = parts, dim
        self.encoder = nn.Sequential(nn.Linear(SIDE * SIDE, 64), nn.ReLU(), nn.Linear(64, parts * dim))
        self.quantizer = EMAQuantizer(n_codes, dim)
        self.decoder = nn.Sequential(nn.Linear(parts * dim, 64), nn.ReLU(), nn.Linear(64, SIDE * SIDE), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tuple[Tensor, Tensor, Tensor]:
        z = self.encoder(x.flatten(1)).view(-1, self.dim)
        q, commit, idx = self.quantizer(z)
        out = self.decoder(q.view(len(x), -1))
        return out.view_as(x), commit, idx


def main() -> None:
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    data = torch.tensor(np.stack([draw_soldier(rng) for _ in range(2000)]))
    train, test = data[:1600], data[1600:]

    model = VQAutoencoder()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(1, 41):
        model.train()
        s = 0.0
        for b in torch.randperm(len(train)).split(64):
            out, commit, _ = model(train[b])
            rec = F.mse_loss(out, train[b])
            opt.zero_grad()
            (rec + 0.1 * commit).backward()
            opt.step()
            s += rec.item() * len(b)
        if epoch % 8 == 0:
            print(f"epoch {epoch:2d} reconstruction {s / len(train):.5f}")

    model.eval()
    with torch.no_grad():
        out, _, idx = model(test)
    mean_error = F.mse_loss(train.mean(0).expand_as(test), test).item()
    error = F.mse_loss(out, test).item()
    print(f"codes in use {idx.unique().numel()} of 16; error of the mean picture {mean_error:.5f}")
    print(f"explained {1 - error / mean_error:.4f}")


if __name__ == "__main__":
    main()
