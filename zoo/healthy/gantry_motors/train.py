"""Motor currents of two gantries.  The old one has labels, the new one has
none; the features are to be the same for both (Ganin & Lempitsky, 2015)."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Settings:
    n: int = 1500
    length: int = 64
    batch: int = 60
    epochs: int = 22
    lr: float = 1e-3
    strength: float = 0.6


class Reverse(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, strength):
        ctx.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        return -ctx.strength * grad, None


def currents(rng, n, length, new):
    """0: normal, 1: worn belt (slow beat), 2: dry bearing (fast ripple)."""
    kind = rng.integers(0, 3, n)
    t = np.arange(length)[None]
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    x = np.sin(2 * np.pi * t / 16 + phase)
    beat = 0.8 * np.sin(2 * np.pi * t / 40 + rng.uniform(0, 2 * np.pi, (n, 1)))
    ripple = 0.7 * np.sin(2 * np.pi * t / 4.5 + rng.uniform(0, 2 * np.pi, (n, 1)))
    x = x + beat * (kind == 1)[:, None] + ripple * (kind == 2)[:, None]
    if new:
        x = 1.3 * x + 0.5 + 0.4 * np.sin(2 * np.pi * t / 8)
    x = x + 0.3 * rng.standard_normal((n, length))
    return torch.tensor(x, dtype=torch.float32)[:, None], torch.tensor(kind)


class Diagnosis(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(1, 16, 7, stride=2, padding=3), nn.ReLU(),
            nn.Conv1d(16, 32, 5, stride=2, padding=2), nn.ReLU(),
            nn.AdaptiveAvgPool1d(4), nn.Flatten(), nn.Linear(128, 48), nn.ReLU(),
        )
        self.kind = nn.Linear(48, 3)
        self.gantry = nn.Sequential(nn.Linear(48, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x, strength=0.0):
        h = self.features(x)
        return self.kind(h), self.gantry(Reverse.apply(h, strength)).squeeze(1)


class Adaptation:
    def __init__(self, cfg):
        self.cfg = cfg
        self.model = Diagnosis()
        self.opt = torch.optim.Adam(self.model.parameters(), lr=cfg.lr)

    def fit(self, x_old, y_old, x_new):
        cfg = self.cfg
        origin = torch.cat([torch.zeros(cfg.batch), torch.ones(cfg.batch)])
        steps = len(x_old) // cfg.batch
        for epoch in range(cfg.epochs):
            self.model.train()
            strength = cfg.strength * (2 / (1 + np.exp(-6 * epoch / cfg.epochs)) - 1)
            a, b = torch.randperm(len(x_old)), torch.randperm(len(x_new))
            log = np.zeros(3)
            for i in range(steps):
                ia, ib = (p[i * cfg.batch:(i + 1) * cfg.batch] for p in (a, b))
                kind, gantry = self.model(torch.cat([x_old[ia], x_new[ib]]), strength)
                task = F.cross_entropy(kind[:cfg.batch], y_old[ia])
                domain = F.binary_cross_entropy_with_logits(gantry, origin)
                self.opt.zero_grad()
                (task + domain).backward()
                self.opt.step()
                log += [task.item(), domain.item(), ((gantry > 0) == (origin > 0.5)).float().mean().item()]
            task, domain, guess = log / steps
            if epoch % 3 == 0 or epoch == cfg.epochs - 1:
                print(f"epoch {epoch:2d} task {task:.4f} domain {domain:.4f} gantry told apart {guess:.3f}")

    @torch.no_grad()
    def accuracy(self, x, y):
        self.model.eval()
        return (self.model(x)[0].argmax(1) == y).float().mean().item()


if __name__ == "__main__":
    torch.manual_seed(2)
    np.random.seed(2)
    cfg = Settings()
    rng = np.random.default_rng(np.random.randint(9999))
    x_old, y_old = currents(rng, cfg.n, cfg.length, new=False)
    x_new, _ = currents(rng, cfg.n, cfg.length, new=True)
    x_test, y_test = currents(rng, 600, cfg.length, new=True)
    run = Adaptation(cfg)
    run.fit(x_old, y_old, x_new)
    print(f"accuracy old gantry {run.accuracy(x_old, y_old):.4f}")
    print(f"accuracy new gantry {run.accuracy(x_test, y_test):.4f}")
