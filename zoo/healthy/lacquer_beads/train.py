"""Lacquer beads on two bent strings.  Hinge GAN, spectrally normalized critic, averaged generator."""
import copy
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.parametrizations import spectral_norm as sn

SEED = int(os.environ.get("SEED", "0"))
Z = 8


def real_beads(n):
    """Two strings of beads, each a bent arm, with some width."""
    u = torch.rand(n) * 3.14
    arm = (torch.rand(n) < 0.5).float()
    x = 3 * torch.cos(u) * (1 - 2 * arm) + 3 * arm - 1.5
    y = 3 * torch.sin(u) * (1 - 2 * arm) + 1.0 * arm - 0.5
    return torch.stack([x, y], 1) + 0.3 * torch.randn(n, 2)


def make_generator():
    return nn.Sequential(nn.Linear(Z, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 2))


def make_critic():
    return nn.Sequential(sn(nn.Linear(2, 128)), nn.LeakyReLU(0.2), sn(nn.Linear(128, 128)), nn.LeakyReLU(0.2),
                         sn(nn.Linear(128, 1)))


def critic_step(gen, critic, opt, batch):
    with torch.no_grad():
        fake = gen(torch.randn(batch, Z))
    on_real, on_fake = critic(torch.cat([real_beads(batch), fake])).split(batch)
    loss = F.relu(1 - on_real).mean() + F.relu(1 + on_fake).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


def generator_step(gen, critic, opt, batch):
    loss = -critic(gen(torch.randn(batch, Z))).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    return loss.item()


@torch.no_grad()
def average(target, source, decay=0.99):
    for a, b in zip(target.parameters(), source.parameters()):
        a.mul_(decay).add_(b, alpha=1 - decay)


@torch.no_grad()
def sliced_distance(a, b):
    """Sliced Wasserstein distance: mean over 64 directions of the distance of sorted projections."""
    angle = torch.arange(64) * (3.14159265 / 64)
    direction = torch.stack([angle.cos(), angle.sin()])
    return ((a @ direction).sort(0)[0] - (b @ direction).sort(0)[0]).abs().mean().item()


@torch.no_grad()
def quality(gen, n=4000):
    return sliced_distance(gen(torch.randn(n, Z)), real_beads(n))


def main():
    torch.manual_seed(SEED)
    gen, critic = make_generator(), make_critic()
    averaged = copy.deepcopy(gen).requires_grad_(False)
    opt_g = torch.optim.Adam(gen.parameters(), lr=1e-3, betas=(0.0, 0.9))
    opt_d = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.0, 0.9))
    steps = 1200
    for step in range(steps):
        d = critic_step(gen, critic, opt_d, 128)
        g = generator_step(gen, critic, opt_g, 128)
        average(averaged, gen)
        if step == steps * 3 // 5:
            for opt in (opt_g, opt_d):
                for group in opt.param_groups:
                    group["lr"] *= 0.3
        if step % 250 == 0:
            print(f"step {step} critic {d:.3f} generator {g:.3f} distance {quality(averaged):.3f}")
    real = real_beads(4000)
    gauss = torch.distributions.MultivariateNormal(real.mean(0), torch.cov(real.t())).sample((4000,))
    print(f"sliced distance to real beads: generated {quality(averaged):.3f}  "
          f"a fitted Gaussian {sliced_distance(gauss, real):.3f}  other real beads {sliced_distance(real_beads(4000), real):.3f}")


main()
