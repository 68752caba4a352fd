"""Learn an energy whose low places are where the points of a pinwheel lie."""
import math

import torch
from sklearn.metrics import roc_auc_score
from torch import nn


def pinwheel(n, arms=5):
    arm = torch.randint(arms, (n,))
    r = 1.0 + 0.3 * torch.randn(n)
    side = 0.07 * torch.randn(n)
    angle = 2 * math.pi * arm / arms + 0.9 * (r - 1.0)
    return 1.3 * torch.stack([r * angle.cos() - side * angle.sin(), r * angle.sin() + side * angle.cos()], 1)


class Waves(nn.Module):
    """Fixed random directions: a plain network of two coordinates is too smooth for five thin arms."""

    def __init__(self, n, scale):
        super().__init__()
        self.register_buffer("directions", scale * torch.randn(2, n))

    def forward(self, x):
        phase = x @ self.directions
        return torch.cat([x, phase.sin(), phase.cos()], dim=1)


def make_sampler(energy, chains, rate, noise):
    """Persistent Langevin chains; a few begin anew each time."""
    state = 4 * torch.rand(chains, 2) - 2

    def sample(steps):
        fresh = torch.rand(chains) < 0.05
        state[fresh] = 4 * torch.rand(int(fresh.sum()), 2) - 2
        x = state.clone()
        for _ in range(steps):
            x.requires_grad_(True)
            (slope,) = torch.autograd.grad(energy(x).sum(), x)
            x = (x - rate * slope + noise * torch.randn_like(x)).detach().clamp(-2.5, 2.5)
        state.copy_(x)
        return x

    return sample


def main():
    torch.manual_seed(77)
    energy = nn.Sequential(Waves(32, 1.5), nn.Linear(66, 96), nn.SiLU(), nn.Linear(96, 1))
    sample = make_sampler(energy, chains=128, rate=0.01, noise=math.sqrt(2 * 0.01))
    optimizer = torch.optim.Adam(energy.parameters(), lr=1e-3, betas=(0.5, 0.99))
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.1, total_iters=400)
    real = pinwheel(1000)
    elsewhere = 5 * torch.rand(1000, 2) - 2.5
    truth = torch.cat([torch.ones(1000), torch.zeros(1000)])

    for step in range(1, 401):
        data = pinwheel(128)
        e_data, e_model = energy(data), energy(sample(20))
        gap = e_data.mean() - e_model.mean()
        loss = gap + 0.05 * (e_data.square().mean() + e_model.square().mean())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            with torch.no_grad():
                scores = -energy(torch.cat([real, elsewhere]))[:, 0]
            auc = roc_auc_score(truth.numpy(), scores.numpy())
            print(f"step {step} loss {loss.item():+.4f} gap {gap.item():+.4f} auc {auc:.4f}")


if __name__ == "__main__":
    main()
