# GAN for the two coordinates of limpets on the rock: they sit in four pools.
import math
import torch
from torch import nn

torch.manual_seed(25)

Z = 8
BATCH = 96


def limpets(n):
    pool = torch.randint(0, 4, (n,))
    angle = pool * math.pi / 2 + 0.4
    centre = torch.stack([2 * torch.cos(angle), 2 * torch.sin(angle)], dim=1)
    return centre + 0.25 * torch.randn(n, 2)


G = nn.Sequential(
    nn.Linear(Z, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 2),
)
D = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 64), nn.LeakyReLU(0.2),
    nn.Linear(64, 1),
)

bce = nn.BCEWithLogitsLoss()
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.999))
real_label = torch.full((BATCH, 1), 0.9)
fake_label = torch.zeros(BATCH, 1)


def energy_distance(a, b):
    def d(u, v):
        return torch.cdist(u, v).mean()
    return (2 * d(a, b) - d(a, a) - d(b, b)).item()


for it in range(1, 1501):
    # discriminator: real and fake, no gradient into G here
    real = limpets(BATCH)
    fake = G(torch.randn(BATCH, Z)).detach()
    opt_d.zero_grad()
    loss_d = bce(D(real), real_label) + bce(D(fake), fake_label)
    loss_d.backward()
    opt_d.step()

    # generator: wants D to say "real"
    opt_g.zero_grad()
    loss_g = bce(D(fake), torch.ones(BATCH, 1))
    loss_g.backward()
    opt_g.step()

    if it % 300 == 0:
        with torch.no_grad():
            ed = energy_distance(G(torch.randn(500, Z)), limpets(500))
        print(f"{it:5d}  D {loss_d.item():.3f}  G {loss_g.item():.3f}  distance {ed:.4f}")

with torch.no_grad():
    samples = G(torch.randn(1000, Z))
    print("generated mean", samples.mean(0).tolist(), "std", samples.std(0).tolist())
    print(f"energy distance to the real limpets {energy_distance(samples, limpets(1000)):.4f}")
