"""Height of a loaf from the settings of the bakery, a small regression study."""
import math

import torch
from torch import nn

N_INPUTS = 8


def bake(n: int, generator: torch.Generator):
    """Settings (uniform, 0..1) and the rise of the loaf in cm."""
    s = torch.rand(n, N_INPUTS, generator=generator)
    flour, water, yeast, salt, proof, temp, knead, sugar = s.unbind(1)
    rise = (
        6
        + 3 * torch.sin(math.pi * proof) * (0.4 + yeast)
        - 4 * (temp - 0.6) ** 2
        + 2 * water * knead
        - 1.5 * salt * yeast
        + torch.sin(2 * math.pi * sugar) * flour
    )
    return s, rise + 0.1 * torch.randn(n, generator=generator)


class Study:
    def __init__(self, seed: int = 3, n: int = 1600, bs: int = 40):
        torch.manual_seed(seed)
        gen = torch.Generator().manual_seed(seed + 100)
        x, y = bake(n + 400, gen)
        self.x, self.x_test = 2 * x[:n] - 1, 2 * x[n:] - 1
        self.mean, self.std = y[:n].mean(), y[:n].std()
        self.y = (y[:n] - self.mean) / self.std
        self.y_test = y[n:]
        self.n_batches = n // bs
        self.bs = bs
        self.net = nn.Sequential(
            nn.Linear(N_INPUTS, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1)
        )
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=1e-2, weight_decay=1e-3)
        self.epochs = 30
        self.sched = torch.optim.lr_scheduler.CosineAnnealingLR(self.opt, self.epochs)

    def batch(self, b: int):
        start = b * self.bs
        return self.x[start : start + self.bs], self.y[start : start + self.bs]

    def epoch(self) -> float:
        self.net.train()
        total = 0.0
        for b in torch.randperm(self.n_batches).tolist():
            x, y = self.batch(b)
            loss = nn.functional.mse_loss(self.net(x).squeeze(1), y)
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
            total += loss.item()
        self.sched.step()
        return total / self.n_batches

    @torch.no_grad()
    def r2(self) -> float:
        self.net.eval()
        guess = self.net(self.x_test).squeeze(1) * self.std + self.mean
        rest = ((guess - self.y_test) ** 2).sum()
        return 1 - (rest / ((self.y_test - self.y_test.mean()) ** 2).sum()).item()

    def fit(self):
        for e in range(self.epochs):
            loss = self.epoch()
            if e % 5 == 4:
                print(f"epoch {e + 1}: train mse {loss:.4f}, held-out R2 {self.r2():.4f}")


if __name__ == "__main__":
    Study().fit()
