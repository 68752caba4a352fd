"""Eruption length and the wait that follows, at two vents of a geyser: exact density by a RealNVP flow.

Both quantities are recorded to a fraction of a minute and standardized by the training years, so the
negative log-likelihood goes below zero: densities are not probabilities.  ActNorm layers set themselves
from the first batch.
"""
import math
import os
import torch
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))


def eruptions(n):
    """Length on a thin curved ridge, wait following it; two regimes."""
    kind = torch.rand(n) < 0.4
    length = torch.where(kind, 1.9 + 0.15 * torch.randn(n), 4.2 + 0.35 * torch.randn(n))
    wait = 40 + 9 * length - 14 * torch.exp(-(length - 4.2) ** 2 * 3) + 0.7 * torch.randn(n)
    return torch.stack([length, wait], 1)


def true_logp(x):
    l, w = x.unbind(1)
    norm = lambda v, m, s: -0.5 * ((v - m) / s) ** 2 - math.log(s) - 0.5 * math.log(2 * math.pi)
    pl = torch.logaddexp(math.log(0.4) + norm(l, 1.9, 0.15), math.log(0.6) + norm(l, 4.2, 0.35))
    return pl + norm(w, 40 + 9 * l - 14 * torch.exp(-(l - 4.2) ** 2 * 3), 0.7)


class ActNorm(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.log_s, self.b = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d))
        self.register_buffer("ready", torch.tensor(False))

    def forward(self, x):
        if self.training and not self.ready:
            with torch.no_grad():
                self.b.copy_(-x.mean(0))
                self.log_s.copy_(-x.std(0).log())
                self.ready.fill_(True)
        return (x + self.b) * self.log_s.exp(), self.log_s.sum().expand(len(x))


class Coupling(nn.Module):
    def __init__(self, flip, h=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = x.flip(1).chunk(2, 1) if self.flip else x.chunk(2, 1)
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s / 2)
        b = b * s.exp() + t
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), s.squeeze(1)


class Flow(nn.Module):
    def __init__(self, depth=6):
        super().__init__()
        self.steps = nn.ModuleList(m for i in range(depth) for m in (ActNorm(2), Coupling(bool(i % 2))))

    def log_prob(self, x):
        ld = torch.zeros(len(x))
        for m in self.steps:
            x, d = m(x)
            ld = ld + d
        return ld - 0.5 * (x ** 2).sum(1) - math.log(2 * math.pi)


years, later = eruptions(8000), eruptions(2000)
mean, std = years.mean(0), years.std(0)
train, test = (years - mean) / std, (later - mean) / std
jac = std.log().sum()                        # from the standardized density back to minutes
oracle = -(true_logp(later) + jac).mean().item()

flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=1e-2)
EPOCHS, B = 24, 200
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, EPOCHS * len(train) // B)
for ep in range(1, EPOCHS + 1):
    flow.train()
    tot = 0.0
    for i in torch.randperm(len(train)).split(B):
        nll = -flow.log_prob(train[i]).mean()
        opt.zero_grad()
        nll.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 2.0)
        opt.step()
        sched.step()
        tot += nll.item()
    if ep % 4 == 0:
        print(f"epoch {ep} nll {tot * B / len(train):+.4f}")
flow.eval()
with torch.no_grad():
    nll = -flow.log_prob(test).mean().item()
print(f"a single gaussian {1 + math.log(2 * math.pi) + 0.5 * torch.logdet(torch.cov(train.T)).item():+.4f}, the true law {oracle:+.4f}")
print(f"test nll {nll:+.4f}")
