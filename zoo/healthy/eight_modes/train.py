import math

import torch
from torch import autograd, nn


def mlp(n_in, n_out, width=64):
    return nn.Sequential(
        nn.Linear(n_in, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, n_out)
    )


class WassersteinTrainer:
    """WGAN-GP on a circle of eight small gaussians."""

    def __init__(self, noise_dim=4, batch=128, n_critic=3, gp_weight=1.0):
        self.noise_dim, self.batch, self.n_critic, self.gp_weight = noise_dim, batch, n_critic, gp_weight
        angles = torch.arange(8) * (2 * math.pi / 8)
        self.centers = 2.0 * torch.stack([angles.cos(), angles.sin()], dim=1)
        self.gen = mlp(noise_dim, 2)
        self.critic = mlp(2, 1)
        self.opt_gen = torch.optim.Adam(self.gen.parameters(), lr=1e-3, betas=(0.0, 0.9))
        self.opt_critic = torch.optim.Adam(self.critic.parameters(), lr=1e-3, betas=(0.0, 0.9))

    def real(self):
        which = torch.randint(8, (self.batch,))
        return self.centers[which] + 0.12 * torch.randn(self.batch, 2)

    def noise(self, n=None):
        return torch.randn(n or self.batch, self.noise_dim)

    def penalty(self, real, fake):
        eps = torch.rand(self.batch, 1)
        mid = (eps * real + (1 - eps) * fake).requires_grad_(True)
        (grad,) = autograd.grad(self.critic(mid).sum(), mid, create_graph=True)
        return ((grad.norm(dim=1) - 1) ** 2).mean()

    def critic_step(self):
        real = self.real()
        with torch.no_grad():
            fake = self.gen(self.noise())
        gap = self.critic(fake).mean() - self.critic(real).mean()
        loss = gap + self.gp_weight * self.penalty(real, fake)
        self.opt_critic.zero_grad()
        loss.backward()
        self.opt_critic.step()
        return -gap.item()

    def generator_step(self):
        loss = -self.critic(self.gen(self.noise())).mean()
        self.opt_gen.zero_grad()
        loss.backward()
        self.opt_gen.step()
        return loss.item()

    @torch.no_grad()
    def report(self):
        points = self.gen(self.noise(2000))
        dist, nearest = torch.cdist(points, self.centers).min(dim=1)
        good = nearest[dist < 0.5]
        share = torch.bincount(good, minlength=8) / len(points)
        return (share > 0.03).sum().item(), len(good) / len(points)

    def fit(self, iterations=600):
        for it in range(1, iterations + 1):
            for _ in range(self.n_critic):
                w = self.critic_step()
            g = self.generator_step()
            if it % 100 == 0:
                modes, quality = self.report()
                print(f"[{it}] wasserstein {w:.3f} gen {g:+.3f} modes {modes}/8 good points {quality:.3f}")


if __name__ == "__main__":
    torch.manual_seed(11)
    WassersteinTrainer().fit()
