import math
import os
import random
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.distributions import Categorical, MixtureSameFamily, Normal

seed = int(os.environ.get("SEED", "0"))


@dataclass
class Config:
    lags: int = 12
    hidden: int = 48
    parts: int = 4
    lr: float = 2e-3
    batch: int = 128
    epochs: int = 14


def make_series(rng, n=5000):
    """Swell height: a slow wave, and now and then a ferry passes."""
    t = np.arange(n)
    y = np.sin(2 * np.pi * t / 40) + 0.3 * np.sin(2 * np.pi * t / 9)
    y = y + 0.03 * rng.standard_normal(n)
    y[rng.random(n) < 0.1] += 0.5
    return (y * 0.1).astype("float32")


class SwellDensity(nn.Module):
    def __init__(self, cfg: Config):
        super().__init__()
        self.cfg = cfg
        self.body = nn.Sequential(nn.Linear(cfg.lags, cfg.hidden), nn.Tanh(), nn.Linear(cfg.hidden, cfg.hidden), nn.Tanh())
        self.head = nn.Linear(cfg.hidden, 3 * cfg.parts)

    def forward(self, x):
        w, mu, s = self.head(self.body(x * 10)).chunk(3, dim=-1)
        return MixtureSameFamily(Categorical(logits=w), Normal(0.1 * mu, 0.1 * torch.exp(s.clamp(-5, 2))))


def windows(y, k):
    w = np.lib.stride_tricks.sliding_window_view(y, k + 1).copy()
    return torch.from_numpy(w[:, :-1].copy()), torch.from_numpy(w[:, -1].copy())


def main(cfg: Config) -> None:
    random.seed(seed)
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    y = make_series(rng)
    x_train, y_train = windows(y[:4000], cfg.lags)
    x_test, y_test = windows(y[4000:], cfg.lags)

    model = SwellDensity(cfg)
    # we climb the likelihood itself, so the optimizer is told to go up
    optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr, maximize=True)
    base = Normal(y_train.mean(), y_train.std()).log_prob(y_test).mean().item()

    for epoch in range(cfg.epochs):
        model.train()
        order = torch.randperm(len(x_train))
        seen = 0.0
        for idx in order.split(cfg.batch):
            log_lik = model(x_train[idx]).log_prob(y_train[idx]).mean()
            optimizer.zero_grad()
            log_lik.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            seen += log_lik.item() * len(idx)
        model.eval()
        with torch.no_grad():
            val = model(x_test).log_prob(y_test).mean().item()
        print(f"epoch {epoch:2d}  train log-likelihood {seen / len(x_train):.3f}  test {val:.3f}")

    print(f"test log-likelihood {val:.3f} (one Gaussian: {base:.3f})")


if __name__ == "__main__":
    main(Config())
