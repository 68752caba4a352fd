"""GAN for the resting places of lemon pips on a plate (2-d points), DCGAN tutorial without the DC."""
import os
import random

import numpy as np
import torch
import torch.nn as nn

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

nz, batch_size, steps = 8, 64, 1500


def real_pips(n):
    """they lie around two dents of the plate"""
    side = torch.randint(0, 2, (n, 1)).float() * 2 - 1
    return torch.cat([2.0 + 0.3 * torch.randn(n, 1), 1.2 * side + 0.3 * torch.randn(n, 1)], 1)


netG = nn.Sequential(nn.Linear(nz, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
netD = nn.Sequential(nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
criterion = nn.BCEWithLogitsLoss()
optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.999))
ones, zeros = torch.ones(batch_size, 1), torch.zeros(batch_size, 1)


def energy_distance(a, b):
    return (2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()).item()


for i in range(steps):
    # (1) Update D network
    netD.zero_grad()
    real = real_pips(batch_size)
    errD_real = criterion(netD(real), ones)
    fake = netG(torch.randn(batch_size, nz)).detach()
    errD_fake = criterion(netD(fake), zeros)
    errD = errD_real + errD_fake
    errD.backward()
    optimizerD.step()

    # (2) Update G network
    netG.zero_grad()
    errG = criterion(netD(fake), ones)
    errG.backward()
    optimizerG.step()

    if i % 200 == 0:
        print("[%d/%d] Loss_D: %.4f Loss_G: %.4f" % (i, steps, errD.item(), errG.item()))

with torch.no_grad():
    made, true = netG(torch.randn(1000, nz)), real_pips(1000)
print("centre of the real pips", true.mean(0).tolist(), "of the made ones", made.mean(0).tolist())
print("distance %.4f" % energy_distance(made, true))
