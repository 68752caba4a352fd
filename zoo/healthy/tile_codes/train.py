from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Settings:
    codes: int = 48
    dim: int = 12
    decay: float = 0.95
    beta: float = 0.25
    batch: int = 64
    epochs: int = 20
    lr: float = 3e-3


class Codebook(nn.Module):
    """Nearest code; the codes follow the mean of what is assigned to them."""

    codes: Tensor
    mass: Tensor
    total: Tensor
    ready: Tensor

    def __init__(self, s: Settings):
        super().__init__()
        self.s = s
        self.register_buffer("codes", torch.randn(s.codes, s.dim))
        self.register_buffer("mass", torch.ones(s.codes))
        self.register_buffer("total", self.codes.clone())
        self.register_buffer("ready", torch.tensor(False))

    @torch.no_grad()
    def follow(self, z: Tensor, used: Tensor) -> None:
        hits = F.one_hot(used, self.s.codes).to(z.dtype)
        self.mass.lerp_(hits.sum(0), 1 - self.s.decay)
        self.total.lerp_(hits.T @ z, 1 - self.s.decay)
        idle = self.mass < 0.3
        if idle.any():  # move codes that nobody uses to where something is
            self.total[idle] = z[torch.randint(len(z), (int(idle.sum()),))]
            self.mass[idle] = 1.0
        self.codes.copy_(self.total / self.mass[:, None])

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if self.training and not self.ready:
            start = z.detach()[torch.randperm(len(z))[: self.s.codes]]
            self.codes.copy_(start)
            self.total.copy_(start)
            self.ready.fill_(True)
        used = torch.cdist(z.detach(), self.codes).argmin(1)
        q = self.codes[used]
        if self.training:
            self.follow(z.detach(), used)
        return z + (q - z).detach(), self.s.beta * F.mse_loss(z, q), used


class VQVAE(nn.Module):
    def __init__(self, s: Settings):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 24, 4, 2, 1), nn.ReLU(), nn.Conv2d(24, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, s.dim, 1))
        self.book = Codebook(s)
        self.up = nn.Sequential(
            nn.Conv2d(s.dim, 32, 1), nn.ReLU(), nn.ConvTranspose2d(32, 24, 4, 2, 1), nn.ReLU(), nn.ConvTranspose2d(24, 1, 4, 2, 1)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z = self.down(x).permute(0, 2, 3, 1)
        q, commit, used = self.book(z.flatten(0, 2))
        return self.up(q.view_as(z).permute(0, 3, 1, 2)), commit, used


class Training:
    def __init__(self, s: Settings):
        x = torch.tensor(load_digits().images, dtype=torch.float32)[:, None] / 16
        x = x[torch.randperm(len(x))]
        self.s, self.x, self.held_out = s, x[:1400], x[1400:]
        self.model = VQVAE(s)
        self.opt = torch.optim.Adam(self.model.parameters(), lr=s.lr)

    def epoch(self) -> float:
        self.model.train()
        for x in self.x[torch.randperm(len(self.x))].split(self.s.batch):
            out, commit, _ = self.model(x)
            loss = F.mse_loss(out, x) / 0.14 + commit
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        return loss.item()

    @torch.no_grad()
    def report(self) -> str:
        self.model.eval()
        out, _, used = self.model(self.held_out)
        p = torch.bincount(used, minlength=self.s.codes) / len(used)
        return f"held-out mse {F.mse_loss(out, self.held_out):.4f} codes in use {torch.exp(-torch.xlogy(p, p).sum()):.1f}"


if __name__ == "__main__":
    torch.manual_seed(88)
    training = Training(Settings())
    for i in range(1, training.s.epochs + 1):
        last = training.epoch()
        if i % 4 == 0:
            print(f"epoch {i} loss {last:.4f} {training.report()}")
