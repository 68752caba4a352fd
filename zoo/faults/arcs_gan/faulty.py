import math

import torch
import torch.nn.functional as F
from torch import nn


def real_points(n):
    """Two arcs of noisy points."""
    a = torch.rand(n) * math.pi
    up = torch.rand(n) < 0.5
    x = torch.where(up, a.cos(), 1 - a.cos())
    y = torch.where(up, a.sin(), 0.5 - a.sin())
    return torch.stack([x, y], 1) + 0.05 * torch.randn(n, 2)


def net(sizes):
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers.append(nn.LeakyReLU(0.2))
    return nn.Sequential(*layers)


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


class GANTrainer:
    def __init__(self, z_dim=4, lr=1e-3):
        self.z_dim = z_dim
        self.G = net([z_dim, 64, 64, 2])
        self.D = net([2, 64, 64, 1])
        self.optG = torch.optim.Adam(self.G.parameters(), lr=lr, betas=(0.5, 0.999))
        self.optD = torch.optim.Adam(self.D.parameters(), lr=lr, betas=(0.5, 0.999))

    def train_step(self, real):
        n = len(real)
        fake = self.G(torch.randn(n, self.z_dim)).detach()

        # discriminator
        d_real, d_fake = self.D(real), self.D(fake)
        lossD = F.binary_cross_entropy_with_logits(d_real, torch.ones(n, 1)) \
            + F.binary_cross_entropy_with_logits(d_fake, torch.zeros(n, 1))
        self.optD.zero_grad()
        lossD.backward()
        self.optD.step()

        # generator
        lossG = F.binary_cross_entropy_with_logits(self.D(fake), torch.ones(n, 1))
        self.optG.zero_grad()
        lossG.backward()
        self.optG.step()
        return lossD.item(), lossG.item()

    @torch.no_grad()
    def score(self):
        return energy_distance(self.G(torch.randn(1000, self.z_dim)), real_points(1000))


torch.manual_seed(6)
trainer = GANTrainer()
for it in range(1, 701):
    d, g = trainer.train_step(real_points(128))
    if it % 100 == 0:
        print(f"{it:4d} | D {d:.3f} | G {g:.3f} | energy distance {trainer.score():.4f}")
