# VQ-VAE on kilim weaving patterns; the codebook follows the encoder by moving averages (van den Oord et al., appendix A)
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

SIDE = 16


def weave():
    """A symmetric pattern out of a few diamonds and stripes."""
    y, x = np.mgrid[0:SIDE, 0:SIDE] - 7.5
    img = np.zeros((SIDE, SIDE))
    for _ in range(np.random.randint(1, 4)):
        kind, a = np.random.randint(0, 3), np.random.uniform(2, 7)
        if kind == 0:
            part = np.abs(np.abs(x) + np.abs(y) - a) < 1.0
        elif kind == 1:
            part = np.abs(np.abs(y) - a) < 0.8
        else:
            part = np.abs(np.abs(x) - a) < 0.8
        img = np.maximum(img, part * np.random.uniform(0.6, 1.0))
    return img


class Quantizer(nn.Module):
    def __init__(self, codes, dim, decay=0.97, eps=1e-5):
        super().__init__()
        self.decay, self.eps = decay, eps
        self.register_buffer("codebook", torch.randn(codes, dim))
        self.register_buffer("count", torch.ones(codes))
        self.register_buffer("total", self.codebook.clone())
        self.register_buffer("ready", torch.tensor(False))

    @torch.no_grad()
    def follow(self, flat, index):
        hot = F.one_hot(index, len(self.codebook)).type_as(flat)
        self.count.mul_(self.decay).add_(hot.sum(0), alpha=1 - self.decay)
        self.total.mul_(self.decay).add_(hot.t() @ flat, alpha=1 - self.decay)
        n = self.count.sum()
        smooth = (self.count + self.eps) / (n + len(self.count) * self.eps) * n
        self.codebook.copy_(self.total / smooth.unsqueeze(1))
        dead = self.count < 0.05          # codes that nobody uses start anew at some vector of the encoder
        if dead.any():
            fresh = flat[torch.randint(len(flat), (int(dead.sum()),))]
            self.codebook[dead], self.total[dead], self.count[dead] = fresh, fresh.clone(), 1.0

    def forward(self, z):                  # z: (B, dim, h, w)
        flat = z.permute(0, 2, 3, 1).reshape(-1, z.size(1))
        if self.training and not self.ready:
            with torch.no_grad():
                self.codebook.copy_(flat[torch.randperm(len(flat))[:len(self.codebook)]])
                self.total.copy_(self.codebook)
                self.ready.fill_(True)
        index = torch.cdist(flat, self.codebook).argmin(1)
        q = self.codebook[index].view(z.size(0), z.size(2), z.size(3), -1).permute(0, 3, 1, 2)
        commitment = F.mse_loss(z, q.detach())
        if self.training:
            self.follow(flat.detach(), index)
        return z + (q - z).detach(), commitment, index


class VQVAE(nn.Module):
    def __init__(self, dim=16, codes=48):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv2d(1, 16, 4, stride=2, padding=1), nn.ReLU(),
                                     nn.Conv2d(16, 32, 4, stride=2, padding=1), nn.ReLU(), nn.Conv2d(32, dim, 1))
        self.quantizer = Quantizer(codes, dim)
        self.decoder = nn.Sequential(nn.ConvTranspose2d(dim, 32, 4, stride=2, padding=1), nn.ReLU(),
                                     nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.ReLU(),
                                     nn.Conv2d(16, 1, 3, padding=1))

    def forward(self, x):
        z, commitment, index = self.quantizer(self.encoder(x))
        return self.decoder(z), commitment, index


class Run:
    def __init__(self, epochs=16, batch=50):
        self.epochs, self.batch = epochs, batch
        data = torch.tensor(np.stack([weave() for _ in range(1200)]), dtype=torch.float32).unsqueeze(1)
        self.train_x, self.test_x = data[:1000], data[1000:]
        self.net = VQVAE()
        self.opt = torch.optim.Adam(self.net.parameters(), lr=2e-3)

    def epoch(self):
        self.net.train()
        sums = np.zeros(2)
        chunks = torch.randperm(len(self.train_x)).split(self.batch)
        for idx in chunks:
            x = self.train_x[idx]
            out, commitment, _ = self.net(x)
            recon = F.mse_loss(out, x)
            self.opt.zero_grad()
            (recon + 0.25 * commitment).backward()
            self.opt.step()
            sums += recon.item(), commitment.item()
        return sums / len(chunks)

    @torch.no_grad()
    def test(self):
        self.net.eval()
        out, _, index = self.net(self.test_x)
        return F.mse_loss(out, self.test_x).item(), len(index.unique())

    def go(self):
        print(f"variance of the test patterns {self.test_x.var().item():.4f}")
        for e in range(1, self.epochs + 1):
            recon, commitment = self.epoch()
            if e % 2 == 0:
                print(f"epoch {e:2d}: recon {recon:.4f}, commitment {commitment:.4f}, codes in use {self.test()[1]}")
        print(f"test reconstruction error {self.test()[0]:.5f}")


if __name__ == "__main__":
    np.random.seed(10)
    torch.manual_seed(10)
    Run().go()
