"""WGAN with gradient penalty draws 8x8 numerals for a stencil maker."""
import os

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import autograd, nn


class Generator(nn.Module):
    def __init__(self, z=24, width=160):
        super().__init__()
        self.z = z
        self.net = nn.Sequential(nn.Linear(z, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
                                 nn.Linear(width, 64), nn.Tanh())

    def forward(self, n):
        return self.net(torch.randn(n, self.z))


class Critic(nn.Module):
    def __init__(self, width=160):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(64, width), nn.LeakyReLU(0.2), nn.Linear(width, width),
                                 nn.LeakyReLU(0.2), nn.Linear(width, 1))

    def forward(self, x):
        return self.net(x).squeeze(1)


class WGAN:
    def __init__(self, data, penalty=10.0, critic_steps=4, batch=64, lr=5e-4):
        self.data, self.penalty, self.critic_steps, self.batch = data, penalty, critic_steps, batch
        self.gen, self.critic = Generator(), Critic()
        self.lr = lr
        self.opt_g = torch.optim.Adam(self.gen.parameters(), lr=lr, betas=(0.5, 0.9))
        self.opt_c = torch.optim.Adam(self.critic.parameters(), lr=lr, betas=(0.5, 0.9))

    def gradient_penalty(self, real, fake):
        eps = torch.rand(len(real), 1)
        mix = (eps * real + (1 - eps) * fake).requires_grad_(True)
        grad, = autograd.grad(self.critic(mix).sum(), mix, create_graph=True)
        return ((grad.norm(2, dim=1) - 1) ** 2).mean()

    def step(self):
        for _ in range(self.critic_steps):
            real = self.data[torch.randint(0, len(self.data), (self.batch,))]
            fake = self.gen(self.batch).detach()
            wasserstein = self.critic(real).mean() - self.critic(fake).mean()
            loss = -wasserstein + self.penalty * self.gradient_penalty(real, fake)
            self.opt_c.zero_grad()
            loss.backward()
            self.opt_c.step()
        self.opt_g.zero_grad()
        g_loss = -self.critic(self.gen(self.batch)).mean()
        g_loss.backward()
        self.opt_g.step()
        return wasserstein.item(), g_loss.item()


def frechet(a, b):
    """Frechet distance between the Gaussians fitted to two sets of images."""
    a, b = a.numpy().astype(np.float64), b.numpy().astype(np.float64)
    ca, cb = np.cov(a.T), np.cov(b.T)
    roots = np.sqrt(np.maximum(np.linalg.eigvals(ca @ cb).real, 0))
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca) + np.trace(cb) - 2 * roots.sum()


def main():
    seed = int(os.environ.get("SEED", "0"))
    torch.manual_seed(seed)
    digits = torch.tensor(load_digits().data / 8.0 - 1.0, dtype=torch.float32)
    digits = digits[torch.randperm(len(digits))]
    train, held = digits[:1200], digits[1200:]
    gan = WGAN(train)

    def score():
        with torch.no_grad():
            return frechet(gan.gen(2000), held)

    print(f"before: distance {score():.2f}")
    steps = 600
    for i in range(steps):
        for opt in (gan.opt_g, gan.opt_c):
            opt.param_groups[0]["lr"] = gan.lr * (1 - i / steps)
        w, g = gan.step()
        if i % 150 == 149:
            print(f"step {i + 1} wasserstein {w:.3f} generator {g:.3f} distance {score():.2f}")
    print(f"Frechet distance to unseen digits: generated {score():.2f}, real training digits {frechet(train, held):.2f}")


if __name__ == "__main__":
    main()
