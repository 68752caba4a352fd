"""WGAN-GP learns where three fish shoals swim around a reef (points in the plane)."""
import copy
import math
import os

import torch
from torch import autograd, nn

SEED = int(os.environ.get("SEED", "0"))
LATENT, BATCH, N_CRITIC, LAMBDA = 4, 128, 4, 0.1
ITERATIONS = 540


def shoals(n):
    """Three arcs on a ring, of unequal weight and width."""
    which = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), n, replacement=True)
    middle = torch.tensor([0.0, 2.2, 4.0])[which]
    spread = torch.tensor([0.5, 0.25, 0.35])[which]
    angle = middle + spread * torch.randn(n)
    radius = 1.3 + 0.08 * torch.randn(n)
    return torch.stack([radius * torch.cos(angle), radius * torch.sin(angle)], 1)


def mlp(inputs, outputs, width=64):
    return nn.Sequential(nn.Linear(inputs, width), nn.LeakyReLU(0.2), nn.Linear(width, width), nn.LeakyReLU(0.2),
                         nn.Linear(width, width), nn.LeakyReLU(0.2), nn.Linear(width, outputs))


def gradient_penalty(critic, real, fake):
    eps = torch.rand(len(real), 1)
    mixed = (eps * real + (1 - eps) * fake).requires_grad_(True)
    grad, = autograd.grad(critic(mixed).sum(), mixed, create_graph=True)
    return ((grad.norm(2, dim=1) - 1) ** 2).mean()


def energy_distance(a, b):
    between = torch.cdist(a, b).mean()
    n, m = len(a), len(b)
    within_a = torch.cdist(a, a).sum() / (n * (n - 1))
    within_b = torch.cdist(b, b).sum() / (m * (m - 1))
    return (2 * between - within_a - within_b).item()


def main():
    torch.manual_seed(SEED)
    generator, critic = mlp(LATENT, 2), mlp(2, 1)
    averaged = copy.deepcopy(generator).requires_grad_(False)
    opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.0, 0.9))
    opt_c = torch.optim.Adam(critic.parameters(), lr=1e-3, betas=(0.0, 0.9))
    decay = lambda it: 1.0 if it < ITERATIONS // 2 else 2 * (1 - it / ITERATIONS)
    sched_g = torch.optim.lr_scheduler.LambdaLR(opt_g, decay)
    sched_c = torch.optim.lr_scheduler.LambdaLR(opt_c, decay)

    for it in range(ITERATIONS):
        for _ in range(N_CRITIC):
            real = shoals(BATCH)
            with torch.no_grad():
                fake = generator(torch.randn(BATCH, LATENT))
            wasserstein = critic(real).mean() - critic(fake).mean()
            loss_c = -wasserstein + LAMBDA * gradient_penalty(critic, real, fake)
            opt_c.zero_grad()
            loss_c.backward()
            opt_c.step()

        critic.requires_grad_(False)
        loss_g = -critic(generator(torch.randn(BATCH, LATENT))).mean()
        opt_g.zero_grad()
        loss_g.backward()
        opt_g.step()
        critic.requires_grad_(True)
        sched_g.step()
        sched_c.step()

        with torch.no_grad():
            keep = min(0.99, (it + 1) / (it + 10))
            for slow, fast in zip(averaged.parameters(), generator.parameters()):
                slow.lerp_(fast, 1 - keep)
        if it % 60 == 59:
            print(f"{it + 1:5d}  critic {loss_c.item():+.4f}  generator {loss_g.item():+.4f}  "
                  f"W estimate {wasserstein.item():.4f}")

    with torch.no_grad():
        sample = averaged(torch.randn(3000, LATENT))
        start = mlp(LATENT, 2)(torch.randn(3000, LATENT))
    truth, again = shoals(3000), shoals(3000)
    share = []
    angle = torch.atan2(sample[:, 1], sample[:, 0]) % (2 * math.pi)
    for c in (0.0, 2.2, 4.0):
        d = (angle - c + math.pi) % (2 * math.pi) - math.pi
        share.append((d.abs() < 0.8).float().mean().item())
    print("share near each shoal:", " ".join(f"{s:.2f}" for s in share))
    print(f"energy distance to the truth: untrained {energy_distance(start, truth):.4f}  "
          f"trained {energy_distance(sample, truth):.4f}  truth to truth {energy_distance(again, truth):.4f}")


if __name__ == "__main__":
    main()
