"""At which hour do the meteors come? Density of the hour given the night of the year, mixture of Gaussians."""
import math
import os
import random

import numpy as np
import torch
import torch.nn as nn

LOG_2PI = math.log(2 * math.pi)


def observations(n, rng):
    night = rng.uniform(0, 1, n)
    early = rng.uniform(0, 1, n) < 0.35 + 0.3 * np.sin(2 * np.pi * night)
    hour = np.where(early, 0.30 + 0.10 * np.cos(2 * np.pi * night), 0.72 + 0.08 * np.sin(4 * np.pi * night))
    hour = hour + rng.normal(0, np.where(early, 0.02, 0.035))
    x = np.stack([night, np.sin(2 * np.pi * night), np.cos(2 * np.pi * night)], axis=1)
    return torch.tensor(x, dtype=torch.float32), torch.tensor(hour, dtype=torch.float32)


class MixtureNet(nn.Module):
    def __init__(self, n_in=3, hidden=32, k=4):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(n_in, hidden), nn.Tanh(), nn.Linear(hidden, hidden), nn.Tanh())
        self.logits = nn.Linear(hidden, k)
        self.means = nn.Linear(hidden, k)
        self.log_sd = nn.Linear(hidden, k)
        nn.init.constant_(self.log_sd.bias, -1.5)
        with torch.no_grad():
            self.means.bias.copy_(torch.linspace(0.1, 0.9, k))

    def log_prob(self, x, t):
        h = self.body(x)
        log_w = torch.log_softmax(self.logits(h), dim=1)
        log_sd = self.log_sd(h).clamp(-5, 1)
        z = (t[:, None] - self.means(h)) / log_sd.exp()
        return torch.logsumexp(log_w - 0.5 * z ** 2 - log_sd - 0.5 * LOG_2PI, dim=1)


class Fitter:
    def __init__(self, net, lr):
        self.net = net
        # we climb the log-likelihood itself
        self.opt = torch.optim.Adam(net.parameters(), lr=lr, maximize=True)
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, T_max=30)

    def epoch(self, x, t, bs=64):
        total = 0.0
        for b in torch.randperm(len(x)).split(bs):
            objective = self.net.log_prob(x[b], t[b]).mean()
            self.opt.zero_grad()
            objective.backward()
            self.opt.step()
            total += objective.item() * len(b)
        self.sched.step()
        return total / len(x)

    @torch.no_grad()
    def score(self, x, t):
        return self.net.log_prob(x, t).mean().item()


if __name__ == "__main__":
    seed = int(os.environ.get("SEED", "0"))
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    x_train, t_train = observations(3000, rng)
    x_test, t_test = observations(800, rng)

    fitter = Fitter(MixtureNet(), lr=5e-3)
    for e in range(1, 31):
        obj = fitter.epoch(x_train, t_train)
        if e % 5 == 0:
            print(f"epoch {e:2d} objective {obj:.4f} test {fitter.score(x_test, t_test):.4f}")

    m, s = t_train.mean(), t_train.std()
    one = (-0.5 * ((t_test - m) / s) ** 2 - torch.log(s) - 0.5 * LOG_2PI).mean().item()
    print(f"one Gaussian for all nights: {one:.4f}")
    print(f"test log-likelihood {fitter.score(x_test, t_test):.4f}")
