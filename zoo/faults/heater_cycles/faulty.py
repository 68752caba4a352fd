"""Recognise the controller type of a boiler from heating cycles of different duration."""
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence

torch.manual_seed(9)
rng = np.random.default_rng(9)

CONTROLLERS = ("on_off", "proportional", "pi", "weather")


@dataclass
class CycleConfig:
    n_train: int = 1200
    n_test: int = 400
    min_len: int = 20
    max_len: int = 45
    hidden: int = 48
    batch_size: int = 32
    epochs: int = 10
    lr: float = 6e-3


def heating_cycle(kind: str, length: int) -> np.ndarray:
    t = np.arange(length)
    phase = rng.uniform(0, 2 * np.pi)
    if kind == "on_off":
        temp = np.sign(np.sin(2 * np.pi * t / rng.uniform(8, 12) + phase))
    elif kind == "proportional":
        temp = np.sin(2 * np.pi * t / rng.uniform(8, 12) + phase) * 1.3
    elif kind == "pi":
        temp = 1.8 * np.exp(-t / 12) * np.cos(2 * np.pi * t / rng.uniform(8, 12) + phase)
    else:
        temp = np.cumsum(rng.normal(size=length)) * 0.35
    flow = 0.6 * np.roll(temp, 2) + 0.3 * rng.normal(size=length)
    return np.stack([60 + 8 * (temp + 0.25 * rng.normal(size=length)), 12 + 3 * flow], axis=1)


def record_cycles(n: int, cfg: CycleConfig) -> tuple[list[torch.Tensor], torch.Tensor]:
    labels = rng.integers(len(CONTROLLERS), size=n)
    lengths = rng.integers(cfg.min_len, cfg.max_len + 1, size=n)
    cycles = [heating_cycle(CONTROLLERS[k], m) for k, m in zip(labels, lengths)]
    return [torch.tensor(c, dtype=torch.float32) for c in cycles], torch.tensor(labels)


def collate(cycles: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    lengths = torch.tensor([len(c) for c in cycles])
    return pad_sequence(cycles, batch_first=True), lengths


class CycleClassifier(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.rnn = nn.GRU(2, hidden, batch_first=True)
        self.head = nn.Linear(hidden, len(CONTROLLERS))

    def forward(self, x: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        lengths, order = lengths.sort(descending=True)
        packed = pack_padded_sequence(x[order], lengths, batch_first=True)
        _, hidden = self.rnn(packed)
        return self.head(hidden[-1])


cfg = CycleConfig()
train_cycles, train_labels = record_cycles(cfg.n_train, cfg)
test_cycles, test_labels = record_cycles(cfg.n_test, cfg)
stacked = torch.cat(train_cycles)
mean, std = stacked.mean(0), stacked.std(0)
train_cycles = [(c - mean) / std for c in train_cycles]
test_cycles = [(c - mean) / std for c in test_cycles]

model = CycleClassifier(cfg.hidden)
optimizer = torch.optim.Adam(model.parameters(), lr=cfg.lr)

for epoch in range(1, cfg.epochs + 1):
    model.train()
    total = 0.0
    order = torch.randperm(cfg.n_train)
    for start in range(0, cfg.n_train, cfg.batch_size):
        idx = order[start:start + cfg.batch_size]
        x, lengths = collate([train_cycles[i] for i in idx])
        loss = F.cross_entropy(model(x, lengths), train_labels[idx])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        total += loss.item() * len(idx)
    print(f"epoch {epoch:2d} train loss {total / cfg.n_train:.4f}")

model.eval()
correct = 0
with torch.no_grad():
    for start in range(0, cfg.n_test, cfg.batch_size):
        x, lengths = collate(test_cycles[start:start + cfg.batch_size])
        predicted = model(x, lengths).argmax(dim=1)
        correct += (predicted == test_labels[start:start + cfg.batch_size]).sum().item()
print(f"test accuracy {correct / cfg.n_test:.4f}")
