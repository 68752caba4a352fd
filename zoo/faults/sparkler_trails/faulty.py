# GAN no. 1 : trails of a sparkler in the dark (points on a circle), after the blog post "GANs in 50 lines"
import os
import random
import numpy as np
import torch
import torch.nn as nn
# import matplotlib.pyplot as plt

seed = int(os.environ.get("SEED", "0"))
random.seed(seed)
np.random.seed(seed)
torch.manual_seed(seed)

latent_dim = 4
batch = 64
steps = 1500


def real_points(n):
    a = np.random.rand(n) * 2 * np.pi
    r = 1.5 + 0.05 * np.random.randn(n)
    return torch.tensor(np.stack([r * np.cos(a), r * np.sin(a)], 1), dtype=torch.float32)


G = nn.Sequential(
    nn.Linear(latent_dim, 48),
    nn.LeakyReLU(0.2),
    nn.Linear(48, 48),
    nn.LeakyReLU(0.2),
    nn.Linear(48, 2),
)

D = nn.Sequential(
    nn.Linear(2, 48),
    nn.LeakyReLU(0.2),
    nn.Linear(48, 48),
    nn.LeakyReLU(0.2),
    nn.Linear(48, 1),
    nn.Sigmoid(),
)

bce = nn.BCELoss()
opt_G = torch.optim.Adam(G.parameters(), lr=0.001, betas=(0.5, 0.999))
opt_D = torch.optim.Adam(D.parameters(), lr=0.001, betas=(0.5, 0.999))
ones = torch.ones(batch, 1)
zeros = torch.zeros(batch, 1)


def on_trail(n=1000):
    """share of the generated points that lie on the trail"""
    with torch.no_grad():
        p = G(torch.randn(n, latent_dim))
    r = p.norm(dim=1)
    return ((r - 1.5).abs() < 0.25).float().mean().item()


for step in range(1, steps + 1):
    # ---- discriminator ----
    opt_D.zero_grad()
    real = real_points(batch)
    fake = G(torch.randn(batch, latent_dim))
    d_real = bce(D(real), ones)
    d_fake = bce(D(fake.detach()), zeros)
    d_loss = d_real + d_fake
    d_loss.backward()
    opt_D.step()

    # ---- generator ----
    opt_G.zero_grad()
    fake = G(torch.randn(batch, latent_dim))
    g_loss = bce(D(fake), ones)
    g_loss.backward()
    opt_D.step()

    if step % 250 == 0:
        print("step %4d | D %.3f | G %.3f | on trail %.3f" % (step, d_loss.item(), g_loss.item(), on_trail()))

with torch.no_grad():
    pts = G(torch.randn(8, latent_dim))
print("some points:")
for p in pts:
    print("  %.2f %.2f" % (p[0], p[1]))
print("points on the trail: %.4f" % on_trail(4000))
