"""Conditional GAN: synthetic sensor pairs of a valve for a requested operating mode."""
import math

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce

MODES, NOISE = 5, 4
ANGLE = 2 * math.pi * torch.arange(MODES) / MODES
CENTRES = 1.3 * torch.stack([ANGLE.cos(), ANGLE.sin()], 1)


def readings(mode):
    """Two standardised readings; each mode is an elongated cloud of its own direction."""
    along = torch.stack([-ANGLE[mode].sin(), ANGLE[mode].cos()], 1)
    return CENTRES[mode] + 0.25 * torch.randn(len(mode), 1) * along + 0.07 * torch.randn(len(mode), 2)


class Generator(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.mode = nn.Embedding(MODES, 8)
        self.net = nn.Sequential(
            nn.Linear(NOISE + 8, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, z, mode):
        return self.net(torch.cat([z, self.mode(mode)], 1))


class Discriminator(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.mode = nn.Embedding(MODES, 8)
        self.net = nn.Sequential(
            nn.Linear(2 + 8, hidden), nn.LeakyReLU(0.2), nn.Linear(hidden, hidden), nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def forward(self, x, mode):
        return self.net(torch.cat([x, self.mode(mode)], 1)).squeeze(1)


def quality(G, n=2000):
    """How often a sample lies in the cloud that was asked for, and the error of the spread along it."""
    with torch.no_grad():
        mode = torch.randint(0, MODES, (n,))
        x = G(torch.randn(n, NOISE), mode)
        hit = (torch.cdist(x, CENTRES).argmin(1) == mode).float().mean().item()
        off = torch.cdist(x, readings(mode)).mean() - torch.cdist(readings(mode), readings(mode)).mean()
    return hit, off.item()


torch.manual_seed(77)
G, D = Generator(), Discriminator()
opt_G = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
opt_D = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.99))
logged = set(range(200, 1001, 200))
for step in range(1, 1001):
    mode = torch.randint(0, MODES, (128,))
    real = readings(mode)
    wanted = torch.randint(0, MODES, (128,))
    fake = G(torch.randn(128, NOISE), wanted)

    real_score, fake_score = D(real, mode), D(fake.detach(), wanted)
    loss_D = bce(real_score, torch.ones(128)) + bce(fake_score, torch.zeros(128))
    opt_D.zero_grad()
    loss_D.backward()
    opt_D.step()

    loss_G = bce(D(fake, mode), torch.ones(128))
    opt_G.zero_grad()
    loss_G.backward()
    opt_G.step()

    if step in logged:
        hit, off = quality(G)
        print(f"step {step} D {loss_D.item():.3f} G {loss_G.item():.3f} hit {hit:.3f} excess distance {off:.3f}")
