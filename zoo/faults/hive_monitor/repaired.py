"""Beehives: sound, scale and climate readings -> healthy, hungry, about to swarm, queenless."""
from dataclasses import dataclass, field

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

STATES = ("healthy", "hungry", "swarming", "queenless")


@dataclass
class HiveConfig:
    inputs: dict = field(default_factory=lambda: {"sound": 12, "scale": 6, "climate": 5})
    width: int = 4
    lr: float = 4e-3
    epochs: int = 16
    batch: int = 48
    seed: int = 17


def simulate(n, cfg):
    """Each sensor carries a part of the state in a nonlinear manner."""
    state = torch.randint(len(STATES), (n,))
    bits = torch.stack([state % 2, state // 2], dim=1).float() * 2 - 1
    readings = []
    for name, size in cfg.inputs.items():
        x = torch.randn(n, size)
        side = torch.sign(torch.randn(n))
        bit = bits[:, 0] if name == "sound" else bits[:, 1] if name == "scale" else bits.prod(1)
        x[:, 0] += 1.5 * side
        x[:, 1] += 1.5 * side * bit
        readings.append(x)
    return readings, state


class HiveNet(nn.Module):
    def __init__(self, cfg):
        super().__init__()
        self.names = list(cfg.inputs)
        self.encoders = nn.ModuleDict({
            name: nn.Sequential(nn.Linear(size, 24), nn.ReLU(), nn.Linear(24, cfg.width), nn.ReLU())
            for name, size in cfg.inputs.items()
        })
        self.fuse = nn.Sequential(
            nn.Linear(cfg.width * len(cfg.inputs), 32), nn.ReLU(), nn.Linear(32, len(STATES))
        )

    def forward(self, **sensors):
        parts = [self.encoders[name](sensors[name]) for name in self.names]
        return self.fuse(torch.cat(parts, dim=1))


class Trainer:
    def __init__(self, cfg):
        self.cfg = cfg
        torch.manual_seed(cfg.seed)
        readings, state = simulate(3000, cfg)
        cut = 2400
        self.train_loader = DataLoader(
            TensorDataset(*[r[:cut] for r in readings], state[:cut]), batch_size=cfg.batch, shuffle=True
        )
        self.val = [r[cut:] for r in readings], state[cut:]
        self.model = HiveNet(cfg)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=cfg.lr, weight_decay=0.02)
        self.loss_fn = nn.CrossEntropyLoss()

    def run_epoch(self):
        self.model.train()
        total, count = 0.0, 0
        for *readings, state in self.train_loader:
            logits = self.model(**dict(zip(self.cfg.inputs, readings)))
            loss = self.loss_fn(logits, state)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(state)
            count += len(state)
        return total / count

    @torch.no_grad()
    def evaluate(self):
        self.model.eval()
        readings, state = self.val
        logits = self.model(**dict(zip(self.cfg.inputs, readings)))
        return (logits.argmax(1) == state).float().mean().item()

    def fit(self):
        for epoch in range(self.cfg.epochs):
            loss = self.run_epoch()
            print(f"epoch {epoch:02d} | loss {loss:.4f} | hives right {self.evaluate():.4f}")


if __name__ == "__main__":
    Trainer(HiveConfig()).fit()
