"""Four small networks of four kinds, and a batch for each."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
import torch
from torch import nn

needs_captum = pytest.mark.skipif(importlib.util.find_spec("captum") is None, reason="Captum is not installed")


class Convolutional(nn.Module):
    """A residual network over 16×16 pictures with three colours."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm2d(8)
        self.pool = nn.MaxPool2d(2)
        self.one = nn.Conv2d(8, 8, 3, padding=1)
        self.two = nn.Conv2d(8, 8, 3, padding=1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.norm(self.first(x))))
        x = torch.relu(x + self.two(torch.relu(self.one(x))))
        made: torch.Tensor = self.head(self.drop(x.mean((2, 3))))
        return made


class Recurrent(nn.Module):
    """Classifies sequences of tokens; `examples_first` says how it wants them."""

    def __init__(self, examples_first: bool = True) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 6)
        self.lstm = nn.LSTM(6, 12, batch_first=examples_first)
        self.head = nn.Linear(12, 3)
        self.examples_first = examples_first
        self.state: Any = None  # kept between calls, with its history

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out, self.state = self.lstm(self.table(tokens))
        made: torch.Tensor = self.head(out[:, -1] if self.examples_first else out[-1])
        return made


class Transformer(nn.Module):
    """Predicts tokens by two layers of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(20, 16)
        layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(16, 20)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.head(self.encoder(self.table(tokens)))
        return made


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def case(kind: str) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    """A model, a batch of 12 examples, and its targets."""
    torch.manual_seed(3)
    if kind == "mlp":
        return perceptron(), torch.randn(12, 1, 8, 8), torch.randint(10, (12,))
    if kind == "cnn":
        return Convolutional(), torch.randn(12, 3, 16, 16), torch.randint(4, (12,))
    if kind == "lstm":
        return Recurrent(), torch.randint(20, (12, 7)), torch.randint(3, (12,))
    return Transformer(), torch.randint(20, (12, 9)), torch.randint(20, (12, 9))


KINDS = ("mlp", "cnn", "lstm", "transformer")
