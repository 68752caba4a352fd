import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

# A little GAN that learns where the stain of a coffee cup lies on a napkin (a ring of radius 2)
RADIUS = 2.0
nz = 4
batch_size = 128
iterations = 1400


def real_batch(n):
    angle = 2 * math.pi * torch.rand(n)
    radius = RADIUS + 0.1 * torch.randn(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(nz, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 2),
        )

    def forward(self, z):
        return self.main(z)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        self.main = nn.Sequential(
            nn.Linear(2, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 64), nn.LeakyReLU(0.2),
            nn.Linear(64, 1),
        )

    def forward(self, x):
        return self.main(x).view(-1)


netG, netD = Generator(), Discriminator()
criterion = nn.BCEWithLogitsLoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.999))
real_label = torch.ones(batch_size)
fake_label = torch.zeros(batch_size)


@torch.no_grad()
def gap_to_ring(n=2000):
    pts = netG(torch.randn(n, nz))
    return (pts.norm(dim=1) - RADIUS).abs().mean().item()


print("Starting Training Loop...")
for it in range(1, iterations + 1):
    # (1) Update D: maximize log(D(x)) + log(1 - D(G(z)))
    netD.zero_grad()
    errD_real = criterion(netD(real_batch(batch_size)), real_label)
    fake = netG(torch.randn(batch_size, nz))
    errD_fake = criterion(netD(fake.detach()), fake_label)
    errD = errD_real + errD_fake
    errD.backward()
    optimizerD.step()

    # (2) Update G: maximize log(D(G(z)))
    netG.zero_grad()
    errG = criterion(netD(fake), real_label)
    errG.backward()
    optimizerG.step()

    if it % 200 == 0:
        print("[%d/%d]\tLoss_D: %.4f\tLoss_G: %.4f\tgap: %.3f" % (it, iterations, errD.item(), errG.item(), gap_to_ring()))

print("mean gap to the ring: %.4f" % gap_to_ring())
