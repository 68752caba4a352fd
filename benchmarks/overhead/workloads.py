"""Trainings whose steps take from a third of a millisecond to some hundred."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import torch
from torch import nn


@dataclass
class Workload:
    """One training: its model and what makes one step of it."""

    name: str
    description: str
    model: nn.Module
    optimizer: torch.optim.Optimizer
    inputs: torch.Tensor
    targets: torch.Tensor
    batch: int
    listeners: list[Callable[[torch.Tensor], None]] = field(default_factory=list)
    """Called with the loss between the gradients and the update, as tools ask scripts to do."""
    backward: Callable[[torch.Tensor, torch.Tensor], None] | None = None
    """Takes outputs and targets in place of loss and backward, for a tool that wants to do these itself."""
    position: int = 0

    def __post_init__(self) -> None:
        self.loss_function = nn.CrossEntropyLoss()

    def step(self) -> None:
        """Train on the next batch."""
        start = self.position % (len(self.inputs) - self.batch + 1)
        self.position += self.batch
        self.optimizer.zero_grad()
        outputs = self.model(self.inputs[start : start + self.batch]).flatten(0, -2)
        targets = self.targets[start : start + self.batch].flatten()
        if self.backward is not None:
            self.backward(outputs, targets)
        else:
            loss: torch.Tensor = self.loss_function(outputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            for listener in self.listeners:
                listener(loss)
        self.optimizer.step()


def mlp() -> Workload:
    """The smallest steps."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    inputs = torch.randn(4096, 64)
    targets = (inputs @ torch.randn(64, 10)).argmax(1)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    return Workload("mlp", "64-128-64-10, batch 64, Adam", model, optimizer, inputs, targets, 64)


def cnn() -> Workload:
    """Large activations, few parameters."""
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(32 * 49, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip
    inputs = torch.randn(2048, 1, 28, 28)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    targets = (inputs.mean((1, 2, 3)) > 0).long()
    description = "2 convolutions, 28×28, batch 64, SGD with momentum"
    return Workload("cnn", description, model, optimizer, inputs, targets, 64)


class _Block(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.first, self.second = nn.LayerNorm(width), nn.LayerNorm(width)
        self.heads = heads
        self.mixed, self.joined = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, c = x.shape
        q, k, v = self.mixed(self.first(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.joined(y.transpose(1, 2).reshape(b, t, c))
        fed: torch.Tensor = x + self.feed(self.second(x))
        return fed


class _GPT(nn.Module):
    def __init__(self, words: int, length: int, width: int, layers: int) -> None:
        super().__init__()
        self.word, self.place = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.ModuleList(_Block(width, 4) for _ in range(layers))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.word(ids) + self.place(torch.arange(ids.shape[1], device=ids.device))
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))
        return logits


def gpt() -> Workload:
    """Many parameters and many modules."""
    model = _GPT(words=256, length=128, width=256, layers=4)
    ids = torch.randint(0, 256, (512, 129))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    description = "4 layers, width 256, 128 tokens, batch 8, AdamW"
    return Workload("gpt", description, model, optimizer, ids[:, :-1], ids[:, 1:], 8)


def short_gpt() -> Workload:
    """So few tokens that reading the parameters once takes most of two percent of a step."""
    model = _GPT(words=256, length=64, width=192, layers=4)
    ids = torch.randint(0, 256, (512, 65))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    description = "4 layers, width 192, 64 tokens, batch 8, AdamW"
    return Workload("short-gpt", description, model, optimizer, ids[:, :-1], ids[:, 1:], 8)


class _Residual(nn.Module):
    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in range(2))
        self.rectified = nn.ModuleList(nn.ReLU() for _ in range(2))
        self.short = nn.Sequential()
        if stride > 1:
            self.short = nn.Sequential(nn.Conv2d(before, width, 1, stride, bias=False), nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norms[1](self.second(self.rectified[0](self.norms[0](self.first(x)))))
        out: torch.Tensor = self.rectified[1](y + self.short(x))
        return out


def resnet() -> Workload:
    """Many layers, many activations: ResNet-18 for images of 32×32 (He et al. 2015), half as wide."""
    width, blocks = 32, []
    for k, stride in enumerate((1, 1, 2, 1, 2, 1, 2, 1)):
        before, after = width * 2 ** (max(0, k - 1) // 2), width * 2 ** (k // 2)
        blocks.append(_Residual(before, after, stride))
    stem = nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
    model = nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))
    inputs = torch.randn(512, 3, 32, 32)
    targets = (inputs.mean((1, 2, 3)) > 0).long()
    optimizer = torch.optim.SGD(model.parameters(), 1e-2, momentum=0.9)
    return Workload(
        "resnet", "ResNet-18 of width 32, 32×32, batch 32, SGD with momentum", model, optimizer, inputs, targets, 32
    )


class _LSTM(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(32, 128, num_layers=2, batch_first=True), nn.Linear(128, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.rnn(x)[0][:, -1])
        return logits


def lstm() -> Workload:
    """Steps of many small operations inside one module."""
    model = _LSTM()
    inputs = torch.randn(1024, 32, 32)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    targets = (inputs.sum((1, 2)) > 0).long()
    return Workload("lstm", "2 layers of 128, 32 steps, batch 32, Adam", model, optimizer, inputs, targets, 32)


def large() -> Workload:
    """A graphics card at work: steps that it, and not the processor, takes the time for."""
    model = _GPT(words=1024, length=256, width=768, layers=12)
    ids = torch.randint(0, 1024, (512, 257))
    optimizer = torch.optim.AdamW(model.parameters(), 3e-4)
    description = "12 layers, width 768, 256 tokens, batch 16, AdamW"
    return Workload("large", description, model, optimizer, ids[:, :-1], ids[:, 1:], 16)


ON_CARD: Final = {"large": large}
"""Workloads that are too much for a processor."""
WORKLOADS: dict[str, Callable[[], Workload]] = {
    "mlp": mlp, "lstm": lstm, "cnn": cnn, "short-gpt": short_gpt, "gpt": gpt, "resnet": resnet,
}  # fmt: skip
