"""Do two recordings come from one speaker? A twin encoder over short filter-bank envelopes."""
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    speakers: int = 70
    held_out: int = 20
    takes: int = 16
    bands: int = 24
    frames: int = 12
    width: int = 64
    margin: float = 0.3
    lr: float = 2e-3
    batch: int = 64
    steps: int = 700
    seed: int = 12


def recordings(cfg, rng):
    """speakers x takes x frames x bands: a timbre per speaker, a phrase and a microphone per take."""
    axis = np.linspace(0, 1, cfg.bands)
    centres = rng.uniform(0, 1, (cfg.speakers, 1, 1, 3, 1))
    widths = rng.uniform(0.05, 0.15, (cfg.speakers, 1, 1, 3, 1))
    shift = rng.normal(0, 0.03, (cfg.speakers, cfg.takes, cfg.frames, 3, 1))
    gain = rng.uniform(0.5, 1.5, (cfg.speakers, cfg.takes, cfg.frames, 3, 1))
    peaks = (gain * np.exp(-(((axis - centres - shift) / widths) ** 2))).sum(3)
    tilt = rng.normal(0, 1.2, (cfg.speakers, cfg.takes, 1, 1)) * (axis - 0.5)
    x = peaks + tilt + rng.normal(0, 0.25, peaks.shape)
    return torch.tensor(x, dtype=torch.float32)


class Encoder(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.frame = nn.Sequential(nn.Linear(cfg.bands, cfg.width), nn.ReLU(), nn.Linear(cfg.width, cfg.width), nn.ReLU())
        self.head = nn.Linear(cfg.width, 24)

    def forward(self, x):
        return self.head(self.frame(x).mean(1))


def pairs(data, cfg, gen):
    """Half of the pairs are of one speaker."""
    n = len(data)
    first = torch.randint(n, (cfg.batch,), generator=gen)
    same = torch.rand(cfg.batch, generator=gen) < 0.5
    other = (first + torch.randint(1, n, (cfg.batch,), generator=gen)) % n
    second = torch.where(same, first, other)
    i = torch.randint(cfg.takes, (cfg.batch,), generator=gen)
    j = (i + torch.randint(1, cfg.takes, (cfg.batch,), generator=gen)) % cfg.takes
    target = torch.where(same, 1.0, -1.0)
    return data[first, i], data[second, j], target


@torch.no_grad()
def verify(encoder, data, cfg, threshold=0.65):
    """Share of right answers when pairs more alike than the threshold are called one speaker."""
    z = nn.functional.normalize(encoder(data.flatten(0, 1)), dim=1)
    who = torch.arange(len(data)).repeat_interleave(cfg.takes)
    same = who[:, None] == who[None]
    said = z @ z.T > threshold
    upper = torch.ones_like(same).triu(1)
    right = [(said == same)[upper & (same == kind)].float().mean() for kind in (True, False)]
    return torch.stack(right).mean().item()


def run(cfg):
    torch.manual_seed(cfg.seed)
    np.random.seed(cfg.seed)
    gen = torch.Generator().manual_seed(cfg.seed + 1)
    data = recordings(cfg, np.random)
    known, strangers = data[cfg.held_out:], data[: cfg.held_out]
    mean, std = known.mean((0, 1, 2)), known.std((0, 1, 2))
    known, strangers = (known - mean) / std, (strangers - mean) / std
    encoder = Encoder(cfg)
    criterion = nn.CosineEmbeddingLoss(margin=cfg.margin)
    optimizer = torch.optim.AdamW(encoder.parameters(), lr=cfg.lr)
    for step in range(1, cfg.steps + 1):
        a, b, target = pairs(known, cfg, gen)
        loss = criterion(encoder(a), encoder(b), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 100 == 0:
            print(f"{step:4d} loss {loss.item():.4f} verified {verify(encoder, strangers, cfg):.3f}")


run(Config())
