from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import make_gaussian_quantiles
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn


@dataclass
class Settings:
    widths: tuple[int, ...] = (64, 64, 32)
    grades: int = 4
    lr: float = 2e-3
    batch: int = 64
    epochs: int = 20
    seed: int = 8


class Grader(nn.Module):
    """Grade of a seed from length, width, mass, gloss, hue, ..."""

    def __init__(self, n_in: int, cfg: Settings) -> None:
        super().__init__()
        self.hidden = nn.ModuleList()
        for width in cfg.widths:
            self.hidden.append(nn.Linear(n_in, width))
            n_in = width
        self.act = nn.ReLU()
        self.top = nn.Linear(n_in, cfg.grades)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.hidden:
            x = layer(x)
        return self.top(x)


class SorterTraining:
    def __init__(self, cfg: Settings) -> None:
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        x, y = make_gaussian_quantiles(n_samples=3200, n_features=5, n_classes=cfg.grades, random_state=cfg.seed)
        xa, xb, ya, yb = train_test_split(x, y, test_size=0.25, stratify=y, random_state=cfg.seed)
        scaler = StandardScaler().fit(xa)
        self.train_x, self.test_x = (torch.tensor(scaler.transform(v), dtype=torch.float32) for v in (xa, xb))
        self.train_y, self.test_y = torch.tensor(ya), torch.tensor(yb)
        self.model = Grader(x.shape[1], cfg)
        self.loss = nn.CrossEntropyLoss()
        self.optim = torch.optim.AdamW(self.model.parameters(), lr=cfg.lr, weight_decay=1e-3)

    def epoch(self) -> float:
        self.model.train()
        seen = 0.0
        for rows in torch.randperm(len(self.train_x)).split(self.cfg.batch):
            self.optim.zero_grad()
            loss = self.loss(self.model(self.train_x[rows]), self.train_y[rows])
            loss.backward()
            self.optim.step()
            seen += loss.item() * len(rows)
        return seen / len(self.train_x)

    @torch.no_grad()
    def accuracy(self) -> float:
        self.model.eval()
        return (self.model(self.test_x).argmax(dim=1) == self.test_y).float().mean().item()

    def fit(self) -> None:
        for n in range(1, self.cfg.epochs + 1):
            loss = self.epoch()
            if n % 5 == 0:
                print(f"{n:3d}: loss {loss:.4f}, accuracy on other seeds {self.accuracy():.3f}")


if __name__ == "__main__":
    SorterTraining(Settings()).fit()
