"""Salt and depth in an estuary: a normalizing flow (RealNVP) against a full-covariance Gaussian."""
import math
import os

import torch
from torch import nn

SEED = int(os.environ.get("SEED", "0"))


def soundings(n):
    """Kilometres and fractions of salt: small numbers, so densities are large."""
    u = torch.rand(n)
    arm = torch.randint(0, 2, (n,)).float()
    x = 0.3 * (u - 0.5) + 0.01 * torch.randn(n)
    y = 0.06 * torch.sin(12 * u + 2 * arm) + 0.08 * (arm - 0.5) + 0.005 * torch.randn(n)
    z = 0.02 * (u * (1 + arm)) + 0.003 * torch.randn(n)
    return torch.stack([x, y, z], 1)


class Coupling(nn.Module):
    def __init__(self, mask, width=64):
        super().__init__()
        self.register_buffer("mask", torch.tensor(mask))
        self.net = nn.Sequential(nn.Linear(3, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                 nn.Linear(width, 6))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def parts(self, kept):
        s, t = self.net(kept).chunk(2, 1)
        free = 1 - self.mask
        return 2 * torch.tanh(s / 2) * free, t * free

    def forward(self, x):
        s, t = self.parts(x * self.mask)
        return x * s.exp() + t, s.sum(1)

    def inverse(self, y):
        s, t = self.parts(y * self.mask)
        return (y - t) * (-s).exp()


class Flow(nn.Module):
    def __init__(self, data, layers=9):
        super().__init__()
        self.register_buffer("mean", data.mean(0))
        self.register_buffer("std", data.std(0))
        masks = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]
        self.layers = nn.ModuleList([Coupling(masks[i % 3]) for i in range(layers)])

    def log_prob(self, x):
        z = (x - self.mean) / self.std
        log_det = -self.std.log().sum()
        for layer in self.layers:
            z, ld = layer(z)
            log_det = log_det + ld
        return -0.5 * (z ** 2).sum(1) - 1.5 * math.log(2 * math.pi) + log_det

    @torch.no_grad()
    def sample(self, n):
        z = torch.randn(n, 3)
        for layer in reversed(self.layers):
            z = layer.inverse(z)
        return z * self.std + self.mean


def main():
    torch.manual_seed(SEED)
    train, test = soundings(8000), soundings(2000)
    flow = Flow(train)
    opt = torch.optim.Adam(flow.parameters(), lr=4e-3)
    steps = 1200
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=4e-3, total_steps=steps)
    for step in range(steps):
        batch = train[torch.randint(0, len(train), (256,))]
        loss = -flow.log_prob(batch).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
        opt.step()
        sched.step()
        if step % 200 == 0:
            print(f"step {step} loss {loss.item():.3f}")
    gauss = torch.distributions.MultivariateNormal(train.mean(0), torch.cov(train.t()))
    with torch.no_grad():
        ll = flow.log_prob(test).mean().item()
    x = flow.sample(2000)
    near = torch.cdist(x, train).min(1)[0].median().item()
    print(f"median distance of samples to data {near:.4f} (of test data {torch.cdist(test, train).min(1)[0].median():.4f})")
    print(f"test log-likelihood: flow {ll:.3f}  Gaussian {gauss.log_prob(test).mean().item():.3f}")


main()
