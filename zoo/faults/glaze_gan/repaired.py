"""A generator of 8x8 handwritten strokes, judged by a sliced distance to held-out ones."""
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn


@dataclass
class Config:
    latent: int = 12
    batch: int = 64
    steps: int = 700
    lr_g: float = 1e-3
    lr_d: float = 5e-4
    digits: tuple = (0, 1)


def sliced_distance(a, b, directions=128):
    n = min(len(a), len(b))
    w = F.normalize(torch.randn(a.shape[1], directions), dim=0)
    return ((a[:n] @ w).sort(0).values - (b[:n] @ w).sort(0).values).abs().mean().item()


class GanTrainer:
    def __init__(self, cfg: Config):
        self.cfg = cfg
        data = load_digits()
        keep = [label in cfg.digits for label in data.target]
        images = torch.tensor(data.data[keep], dtype=torch.float32) / 8 - 1
        real, held = train_test_split(images, test_size=0.3, random_state=0)
        self.real, self.held = real, held
        self.gen = nn.Sequential(nn.Linear(cfg.latent, 96), nn.BatchNorm1d(96), nn.ReLU(), nn.Linear(96, 64), nn.Tanh())
        self.disc = nn.Sequential(
            nn.Linear(64, 96), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(96, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1)
        )
        self.opt_g = torch.optim.Adam(self.gen.parameters(), lr=cfg.lr_g, betas=(0.5, 0.999))
        self.opt_d = torch.optim.Adam(self.disc.parameters(), lr=cfg.lr_d, betas=(0.5, 0.999))

    def imagine(self, n):
        return self.gen(torch.randn(n, self.cfg.latent))

    def critic_step(self, real, fake):
        out_real = self.disc(real)
        out_fake = self.disc(fake.detach())
        loss = F.binary_cross_entropy_with_logits(out_real, torch.full_like(out_real, 0.9))
        loss = loss + F.binary_cross_entropy_with_logits(out_fake, torch.zeros_like(out_fake))
        self.opt_d.zero_grad()
        loss.backward()
        self.opt_d.step()
        return loss.item()

    def artist_step(self, fake):
        verdict = self.disc(fake)
        loss = F.binary_cross_entropy_with_logits(verdict, torch.ones_like(verdict))
        self.opt_g.zero_grad()
        loss.backward()
        self.opt_g.step()
        return loss.item()

    def score(self):
        self.gen.eval()
        with torch.no_grad():
            value = sliced_distance(self.imagine(len(self.held)), self.held)
        self.gen.train()
        return value

    def fit(self):
        for step in range(1, self.cfg.steps + 1):
            real = self.real[torch.randint(len(self.real), (self.cfg.batch,))]
            fake = self.imagine(self.cfg.batch)
            d = self.critic_step(real, fake)
            g = self.artist_step(fake)
            if step % 100 == 0:
                print(f"step {step} D {d:.3f} G {g:.3f} sliced distance {self.score():.4f}")


torch.manual_seed(11)
GanTrainer(Config()).fit()
