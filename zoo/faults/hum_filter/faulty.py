from dataclasses import dataclass

import numpy as np
import torch
from torch import nn


@dataclass
class Config:
    seed: int = 8
    train_size: int = 1200
    length: int = 64
    batch_size: int = 32
    lr: float = 0.02
    momentum: float = 0.9
    epochs: int = 8


class Denoiser(nn.Module):
    """1-D conv net that predicts the clean signal."""

    def __init__(self, channels: int = 16):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(1, channels, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(channels, channels, 7, padding=3),
            nn.ReLU(),
            nn.Conv1d(channels, 1, 7, padding=3),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


def signals(n: int, length: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    t = np.arange(length) / length
    f = rng.uniform(1, 4, (n, 1))
    phase = rng.uniform(0, 2 * np.pi, (n, 1))
    clean = np.sin(2 * np.pi * f * t + phase)
    hum = 0.5 * np.sin(2 * np.pi * 16 * t + rng.uniform(0, 2 * np.pi, (n, 1)))
    noisy = clean + hum + 0.2 * rng.standard_normal((n, length))
    as_tensor = lambda a: torch.from_numpy(a.astype(np.float32)).unsqueeze(1)
    return as_tensor(noisy), as_tensor(clean)


class Experiment:
    def __init__(self, cfg: Config):
        torch.manual_seed(cfg.seed)
        np.random.seed(cfg.seed)
        rng = np.random.default_rng(np.random.randint(1 << 30))
        self.cfg = cfg
        self.train_data = signals(cfg.train_size, cfg.length, rng)
        self.val_data = signals(300, cfg.length, rng)
        self.model = Denoiser()
        self.criterion = nn.MSELoss(reduction="sum")
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=cfg.lr, momentum=cfg.momentum)

    def run_epoch(self) -> float:
        noisy, clean = self.train_data
        order = torch.randperm(len(noisy))
        total = 0.0
        for start in range(0, len(order), self.cfg.batch_size):
            idx = order[start:start + self.cfg.batch_size]
            self.optimizer.zero_grad()
            loss = self.criterion(self.model(noisy[idx]), clean[idx])
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        return total / len(order)

    @torch.no_grad()
    def validate(self) -> float:
        noisy, clean = self.val_data
        return (self.model(noisy) - clean).pow(2).mean().item()

    def run(self) -> None:
        for epoch in range(self.cfg.epochs):
            train_loss = self.run_epoch()
            print(f"epoch {epoch}: train {train_loss:.5f} val_mse {self.validate():.5f}")


if __name__ == "__main__":
    Experiment(Config()).run()
