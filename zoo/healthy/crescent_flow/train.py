# Density of two crescents by an affine coupling flow.
import math

import torch
from sklearn.datasets import make_moons
from sklearn.mixture import GaussianMixture
from torch import nn


class ActNorm(nn.Module):
    """Scale and shift whose first values standardize the first batch."""

    def __init__(self, dim):
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if not self.ready:
            with torch.no_grad():
                self.log_scale.copy_(-x.std(0).log())
                self.shift.copy_(-x.mean(0))
                self.ready.fill_(True)
        return (x + self.shift) * self.log_scale.exp(), self.log_scale.sum().expand(len(x))

    def inverse(self, z):
        return z * (-self.log_scale).exp() - self.shift


class Coupling(nn.Module):
    def __init__(self, flip, width=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                                 nn.Linear(width, 2))
        nn.init.zeros_(self.net[-1].weight)       # starts as the identity
        nn.init.zeros_(self.net[-1].bias)

    def split(self, x):
        a, b = x.chunk(2, dim=1)
        return (b, a) if self.flip else (a, b)

    def join(self, a, b):
        return torch.cat((b, a) if self.flip else (a, b), dim=1)

    def forward(self, x):
        a, b = self.split(x)
        s, t = self.net(a).chunk(2, dim=1)
        s = 2 * torch.tanh(s / 2)
        return self.join(a, b * s.exp() + t), s.squeeze(1)

    def inverse(self, z):
        a, b = self.split(z)
        s, t = self.net(a).chunk(2, dim=1)
        s = 2 * torch.tanh(s / 2)
        return self.join(a, (b - t) * (-s).exp())


class Flow(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        steps = []
        for k in range(depth):
            steps += [ActNorm(2), Coupling(flip=k % 2 == 1)]
        self.steps = nn.ModuleList(steps)

    def log_prob(self, x):
        log_det = x.new_zeros(len(x))
        for step in self.steps:
            x, ld = step(x)
            log_det = log_det + ld
        return log_det - 0.5 * x.square().sum(1) - math.log(2 * math.pi)

    @torch.no_grad()
    def sample(self, n):
        z = torch.randn(n, 2)
        for step in reversed(self.steps):
            z = step.inverse(z)
        return z


def fit(flow, data, val, epochs=24, batch=200, lr=5e-3):
    optimizer = torch.optim.Adam(flow.parameters(), lr=lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * (len(data) // batch))

    def nll(x):
        return -flow.log_prob(x).mean()

    def make_closure(x):
        def closure():
            optimizer.zero_grad()
            loss = nll(x)
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
            return loss
        return closure

    for epoch in range(1, epochs + 1):
        total = 0.0
        for idx in torch.randperm(len(data)).split(batch):
            total += optimizer.step(make_closure(data[idx])).item() * len(idx)
            schedule.step()
        if epoch % 4 == 0:
            with torch.no_grad():
                print(f"epoch {epoch}: train nll {total / len(data):.4f}, validation nll {nll(val).item():.4f}")
    with torch.no_grad():
        return nll(val).item()


def main():
    torch.manual_seed(2)
    points, _ = make_moons(8000, noise=0.06, random_state=2)
    points = torch.tensor(points, dtype=torch.float32)
    train, val = points[:6000], points[6000:]
    mean, std = train.mean(0), train.std(0)
    train, val = (train - mean) / std, (val - mean) / std
    flow = Flow()
    score = fit(flow, train, val)

    gauss = -GaussianMixture(1, random_state=0).fit(train.numpy()).score(val.numpy())
    mixture = -GaussianMixture(4, random_state=0).fit(train.numpy()).score(val.numpy())
    drawn = flow.sample(2000)
    on_moon = (torch.cdist(drawn, train).min(1).values < 0.15).float().mean()
    print(f"validation nll: flow {score:.3f}, Gaussian {gauss:.3f}, mixture of four {mixture:.3f}; "
          f"samples on the crescents {on_moon:.3f}")


if __name__ == "__main__":
    main()
