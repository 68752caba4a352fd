from __future__ import annotations

import abc
from dataclasses import dataclass, field

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

COLUMNS = ("carbon %", "chromium %", "nickel %", "hardness HV", "yield MPa", "density kg/m3", "anneal C", "grain um")


@dataclass(frozen=True)
class DataConfig:
    samples: int = 2400
    grades: int = 6
    test_share: float = 0.25
    batch_size: int = 128


@dataclass(frozen=True)
class OptimConfig:
    lr: float = 2e-3
    weight_decay: float = 1e-4
    epochs: int = 15


@dataclass(frozen=True)
class Config:
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    widths: tuple[int, ...] = (192, 192)
    seed: int = 12


class DataModule(abc.ABC):
    @abc.abstractmethod
    def setup(self) -> None: ...

    @abc.abstractmethod
    def loader(self, split: str) -> DataLoader: ...


class AlloyData(DataModule):
    def __init__(self, cfg: DataConfig, rng: np.random.Generator):
        self.cfg = cfg
        self.rng = rng
        self.scaler = StandardScaler()
        self.splits: dict[str, TensorDataset] = {}

    def measure(self) -> tuple[np.ndarray, np.ndarray]:
        grade = self.rng.integers(0, self.cfg.grades, self.cfg.samples)
        centre = np.array([0.4, 12.0, 6.0, 240.0, 520.0, 7800.0, 860.0, 35.0])
        spread = np.array([0.15, 4.0, 2.5, 40.0, 90.0, 60.0, 50.0, 9.0])
        offsets = np.random.default_rng(99).normal(0, 0.9, (self.cfg.grades, 2, len(COLUMNS)))
        variant = self.rng.integers(0, 2, self.cfg.samples)  # two mills
        z = offsets[grade, variant] + 0.5 * self.rng.standard_normal((self.cfg.samples, len(COLUMNS)))
        return centre + spread * z, grade

    def setup(self) -> None:
        x, y = self.measure()
        x_fit, x_test, y_fit, y_test = train_test_split(
            x, y, test_size=self.cfg.test_share, stratify=y, random_state=4
        )
        x_fit = self.scaler.fit_transform(x_fit)
        x_test = self.scaler.transform(x_test)
        for name, (a, b) in {"fit": (x_fit, y_fit), "test": (x_test, y_test)}.items():
            self.splits[name] = TensorDataset(torch.as_tensor(a, dtype=torch.float32), torch.as_tensor(b))

    def loader(self, split: str) -> DataLoader:
        return DataLoader(self.splits[split], self.cfg.batch_size, shuffle=split == "fit")


def build_network(n_in: int, widths: tuple[int, ...], n_out: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for width in widths:
        layers += [nn.Linear(n_in, width), nn.ReLU(), nn.Dropout(0.1)]
        n_in = width
    return nn.Sequential(*layers, nn.Linear(n_in, n_out))


class Experiment:
    def __init__(self, cfg: Config):
        torch.manual_seed(cfg.seed)
        self.cfg = cfg
        self.data = AlloyData(cfg.data, np.random.default_rng(cfg.seed))
        self.data.setup()
        self.net = build_network(len(COLUMNS), cfg.widths, cfg.data.grades)
        self.criterion = nn.CrossEntropyLoss()
        self.optim = torch.optim.AdamW(
            self.net.parameters(), lr=cfg.optim.lr, weight_decay=cfg.optim.weight_decay
        )

    def step(self, x: Tensor, y: Tensor) -> float:
        self.optim.zero_grad(set_to_none=True)
        loss = self.criterion(self.net(x), y)
        loss.backward()
        self.optim.step()
        return loss.item()

    @torch.no_grad()
    def accuracy(self, split: str) -> float:
        self.net.eval()
        right = sum((self.net(x).argmax(1) == y).sum().item() for x, y in self.data.loader(split))
        return right / len(self.data.splits[split])

    def run(self) -> None:
        for epoch in range(1, self.cfg.optim.epochs + 1):
            self.net.train()
            losses = [self.step(x, y) for x, y in self.data.loader("fit")]
            print(f"[{epoch:02d}] loss={np.mean(losses):.4f} fit={self.accuracy('fit'):.3f} test={self.accuracy('test'):.3f}")


if __name__ == "__main__":
    Experiment(Config()).run()
