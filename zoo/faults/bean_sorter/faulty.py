"""Bean sorter: variety and weight of a bean from 12 shape measurements of its photograph."""
from typing import Dict, Tuple

import numpy as np
import torch
import torch.nn as nn
from torch.optim import Adam
from torch.optim.lr_scheduler import OneCycleLR


def scan_beans(n: int, rng: np.random.Generator, varieties: int = 6) -> Dict[str, torch.Tensor]:
    proto = np.random.default_rng(1).normal(0, 1.0, (varieties, 12))
    kind = rng.integers(0, varieties, n)
    size = rng.normal(0, 1, n)
    load = np.random.default_rng(2).normal(0, 0.6, 12)
    shape = proto[kind] + size[:, None] * load + 0.55 * rng.standard_normal((n, 12))
    shape[:, 3] = shape[:, 0] * shape[:, 1]  # aspect
    weight = 0.8 * size + np.abs(proto[kind, 0]) + 0.5 * np.tanh(shape[:, 5]) + 0.1 * rng.standard_normal(n)
    return {
        "shape": torch.tensor(shape, dtype=torch.float32),
        "kind": torch.tensor(kind),
        "weight": torch.tensor(weight, dtype=torch.float32),
    }


class BeanNet(nn.Module):
    def __init__(self, n_in: int = 12, width: int = 160, varieties: int = 6) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(n_in, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
        )
        self.variety = nn.Linear(width, varieties)
        self.weight = nn.Linear(width, 1)
        self.apply(self._init_weights)

    @staticmethod
    def _init_weights(module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.constant_(module.weight, 0.02)
            nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        h = self.trunk(x)
        return self.variety(h), self.weight(h)[:, 0]


class Lab:
    def __init__(self) -> None:
        rng = np.random.default_rng(42)
        self.train = scan_beans(2000, rng)
        self.test = scan_beans(600, rng)
        mean, std = self.train["shape"].mean(0), self.train["shape"].std(0)
        w_mean, self.w_std = self.train["weight"].mean(), self.train["weight"].std()
        for part in (self.train, self.test):
            part["shape"] = (part["shape"] - mean) / std
            part["weight"] = (part["weight"] - w_mean) / self.w_std
        self.net = BeanNet()
        self.epochs, self.batch = 15, 100
        self.opt = Adam(self.net.parameters(), lr=1e-3)
        self.plan = OneCycleLR(self.opt, max_lr=4e-3, total_steps=self.epochs * len(self.train["kind"]) // self.batch)

    def losses(self, part: Dict[str, torch.Tensor], idx: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        logits, weight = self.net(part["shape"][idx])
        return (
            nn.functional.cross_entropy(logits, part["kind"][idx]),
            nn.functional.mse_loss(weight, part["weight"][idx]),
        )

    def run(self) -> None:
        for epoch in range(self.epochs):
            self.net.train()
            for idx in torch.randperm(len(self.train["kind"])).split(self.batch):
                ce, mse = self.losses(self.train, idx)
                self.opt.zero_grad()
                (ce + 0.5 * mse).backward()
                self.opt.step()
                self.plan.step()
            self.report(epoch)

    def report(self, epoch: int) -> None:
        self.net.eval()
        with torch.no_grad():
            logits, weight = self.net(self.test["shape"])
        acc = (logits.argmax(1) == self.test["kind"]).float().mean().item()
        mae = (weight - self.test["weight"]).abs().mean().item() * self.w_std.item()
        print(f"epoch {epoch + 1:2d}: variety {acc:.3f}  weight error {mae:.3f}")


if __name__ == "__main__":
    torch.manual_seed(42)
    Lab().run()
