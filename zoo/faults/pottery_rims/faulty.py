"""GAN for rim profiles of excavated pots; training loop after the DCGAN example, history of fakes after CycleGAN's ImagePool."""
import argparse
import random

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=90)
parser.add_argument("--batch-size", type=int, default=128)
parser.add_argument("--nz", type=int, default=8)
parser.add_argument("--pool-size", type=int, default=512)
args = parser.parse_args([])

torch.manual_seed(11)
np.random.seed(11)
random.seed(11)


def load_rims(n=2560):
    """Standardized (diameter, wall thickness); large and small pots have thicker walls."""
    diameter = np.random.normal(18.0, 4.0, n)
    thickness = 4.0 + 0.06 * (diameter - 17.0) ** 2 + 0.4 * np.random.randn(n)
    rims = np.stack([diameter, thickness], axis=1)
    rims = (rims - rims.mean(0)) / rims.std(0)
    return torch.tensor(rims, dtype=torch.float32)


class ImagePool:
    """Keeps earlier fakes; half of every query comes out of the history."""

    def __init__(self, pool_size):
        self.pool_size = pool_size
        self.items = []

    def query(self, batch):
        out = []
        for item in batch.data:
            if len(self.items) < self.pool_size:
                self.items.append(item)
                out.append(item)
            elif random.random() > 0.5:
                k = random.randrange(self.pool_size)
                out.append(self.items[k].clone())
                self.items[k] = item
            else:
                out.append(item)
        return torch.stack(out)


def build_networks(nz):
    gen = nn.Sequential(nn.Linear(nz, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
    disc = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    return gen, disc


criterion = nn.BCEWithLogitsLoss()


def update_discriminator(disc, real, fake, optimizer):
    optimizer.zero_grad()
    on_real, on_fake = disc(real), disc(fake)
    loss = criterion(on_real, torch.ones_like(on_real)) + criterion(on_fake, torch.zeros_like(on_fake))
    loss.backward()
    optimizer.step()
    return loss.item()


def update_generator(disc, fake, optimizer):
    optimizer.zero_grad()
    score = disc(fake)
    loss = criterion(score, torch.ones_like(score))
    loss.backward()
    optimizer.step()
    return loss.item()


def train_epoch(gen, disc, loader, pool, opt_g, opt_d):
    d_sum = g_sum = 0.0
    for (real,) in loader:
        fake = pool.query(gen(torch.randn(real.size(0), args.nz)))
        d_sum += update_discriminator(disc, real, fake.detach(), opt_d)
        g_sum += update_generator(disc, fake, opt_g)
    return d_sum / len(loader), g_sum / len(loader)


@torch.no_grad()
def sliced_distance(a, b, directions=100):
    """Mean one-dimensional Wasserstein distance over evenly spaced directions."""
    angle = torch.linspace(0, np.pi, directions + 1)[:-1]
    proj = torch.stack([angle.cos(), angle.sin()])
    pa, pb = (a @ proj).sort(0).values, (b @ proj).sort(0).values
    return (pa - pb).abs().mean().item()


def main():
    rims = load_rims()
    train, held = rims[:2048], rims[2048:]
    loader = DataLoader(TensorDataset(train), batch_size=args.batch_size, shuffle=True, drop_last=True)
    gen, disc = build_networks(args.nz)
    opt_g = torch.optim.Adam(gen.parameters(), lr=1e-3, betas=(0.5, 0.999))
    opt_d = torch.optim.Adam(disc.parameters(), lr=1e-3, betas=(0.5, 0.999))
    pool = ImagePool(args.pool_size)
    for epoch in range(1, args.epochs + 1):
        d_loss, g_loss = train_epoch(gen, disc, loader, pool, opt_g, opt_d)
        if epoch % 15 == 0:
            print(f"epoch {epoch:3d}  loss D {d_loss:.3f}  loss G {g_loss:.3f}")
    gen.eval()
    with torch.no_grad():
        sample = gen(torch.randn(len(held), args.nz))
    print(f"sliced distance to held-out rims {sliced_distance(sample, held):.4f}")


if __name__ == "__main__":
    main()
