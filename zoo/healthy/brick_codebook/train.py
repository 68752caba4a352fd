"""Brick patterns in 64 code words: a vector-quantized autoencoder with an averaged codebook."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def walls(n, size=16, seed=0):
    """Walls of brick courses: course height, brick length, bond offset, brightness and joint width vary."""
    g = torch.Generator().manual_seed(seed)
    rows, cols = torch.arange(size)[:, None], torch.arange(size)[None, :]
    out = torch.empty(n, 1, size, size)
    for i in range(n):
        h = int(torch.randint(3, 7, (), generator=g))
        w = int(torch.randint(4, 9, (), generator=g))
        top, left = (int(torch.randint(0, k, (), generator=g)) for k in (h, w))
        course = (rows + top) // h
        joint = ((rows + top) % h == 0) | ((cols + left + course * (w // 2)) % w == 0)
        tone = 0.45 + 0.5 * torch.rand((), generator=g)
        out[i, 0] = torch.where(joint, 0.1, tone)
    return (out + 0.02 * torch.randn(out.shape, generator=g)).clamp(0, 1)


class Quantizer(nn.Module):
    def __init__(self, codes, dim, decay=0.97):
        super().__init__()
        self.decay = decay
        book = torch.randn(codes, dim)
        self.register_buffer("book", book)
        self.register_buffer("count", torch.ones(codes))
        self.register_buffer("total", book.clone())

    def forward(self, z):
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.shape[1])
        ids = torch.cdist(flat.detach(), self.book).argmin(1)
        if self.training:
            self.follow(flat.detach(), ids)
        q = self.book[ids].view(len(z), z.shape[2], z.shape[3], -1).permute(0, 3, 1, 2)
        commitment = F.mse_loss(z, q)
        return z + (q - z).detach(), commitment, ids

    @torch.no_grad()
    def follow(self, flat, ids):
        one_hot = F.one_hot(ids, len(self.book)).type_as(flat)
        self.count.lerp_(one_hot.sum(0), 1 - self.decay)
        self.total.lerp_(one_hot.T @ flat, 1 - self.decay)
        smooth = (self.count + 1e-5) / (self.count.sum() + 1e-5 * len(self.count)) * self.count.sum()
        self.book.copy_(self.total / smooth[:, None])

    @torch.no_grad()
    def reseed(self, flat, threshold=1.0):
        """Codes that are hardly used start again at encodings of the current batch."""
        idle = self.count < threshold
        pick = flat[torch.randint(len(flat), (int(idle.sum()),))]
        self.book[idle] = pick
        self.total[idle] = pick
        self.count[idle] = 1.0
        return int(idle.sum())


def build(dim=16, codes=64):
    encoder = nn.Sequential(
        nn.Conv2d(1, 32, 4, stride=2, padding=1), nn.ReLU(),
        nn.Conv2d(32, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, dim, 1))
    decoder = nn.Sequential(
        nn.Conv2d(dim, 32, 3, padding=1), nn.ReLU(),
        nn.ConvTranspose2d(32, 1, 4, stride=2, padding=1))
    return nn.ModuleDict({"enc": encoder, "vq": Quantizer(codes, dim), "dec": decoder})


def run(model, x):
    z = model["enc"](x)
    q, commitment, ids = model["vq"](z)
    return model["dec"](q), commitment, ids, z


def train(model, data, epochs=20, batch=64, beta=0.25, lr=2e-3):
    optimizer = torch.optim.Adam(model.parameters(), lr=lr)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=lr / 50)
    variance = data.var()
    for epoch in range(epochs):
        model.train()
        sums, reseeded, batches = [0.0, 0.0], 0, 0
        for idx in torch.randperm(len(data)).split(batch):
            x = data[idx]
            rec, commitment, _, z = run(model, x)
            error = F.mse_loss(rec, x) / variance
            optimizer.zero_grad()
            (error + beta * commitment).backward()
            optimizer.step()
            if batches % 10 == 0 and epoch < epochs // 2:
                reseeded += model["vq"].reseed(z.detach().permute(0, 2, 3, 1).flatten(0, 2))
            sums[0] += error.item()
            sums[1] += commitment.item()
            batches += 1
        scheduler.step()
        if epoch % 3 == 0 or epoch == epochs - 1:
            print(f"epoch {epoch + 1}: error {sums[0] / batches:.4f}, commitment {sums[1] / batches:.4f}, "
                  f"re-seeded {reseeded}")


def main():
    torch.manual_seed(12)
    train_walls, test_walls = walls(1600, seed=1), walls(400, seed=2)
    model = build()
    train(model, train_walls)
    model.eval()
    with torch.no_grad():
        rec, _, ids, _ = run(model, test_walls)
    explained = 1 - (rec - test_walls).square().mean() / (test_walls - train_walls.mean(0)).square().mean()
    p = torch.bincount(ids, minlength=64).float() / len(ids)
    perplexity = math.exp(-(p * p.clamp(min=1e-12).log()).sum())
    print(f"explained variance of unseen walls {explained:.4f} with 64 codes each, perplexity {perplexity:.1f} of 64")


if __name__ == "__main__":
    main()
