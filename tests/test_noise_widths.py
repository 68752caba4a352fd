"""Noise as wide as a model says: and where it cannot say little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.noise_widths import NoiseWidth
from flightcheck.recording.rewriting import statement_at
from flightcheck.recording.run import Run
from flightcheck.testing import verdict_of

Draw = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Encoder(nn.Module):
    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.mu, self.width, self.back = nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(2, 4)
        self.draw = draw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.back(self.draw(self.mu(x), self.width(x)))  # type: ignore[no-any-return]


def halved(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    logvar = F.relu(width)  # RELU
    return mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)


def method(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    std = width.relu().div(2).exp()  # RELU
    return std * torch.randn(std.shape) + mu


def distribution(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    std = torch.relu(width).exp()  # RELU
    return torch.distributions.Normal(mu, std).rsample()  # type: ignore[no-any-return,no-untyped-call]


def free(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu.relu() + torch.randn_like(mu) * torch.exp(0.5 * width)


def softplus(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu + torch.randn_like(mu) * F.softplus(width)


def without_noise(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu * torch.exp(F.relu(width))


def clamped(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu + torch.randn_like(mu) * (F.relu(width) - 4).exp()


def watched(folder: Path, draw: Draw) -> Run:
    torch.manual_seed(0)
    model = Encoder(draw)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(8):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            F.mse_loss(model(x), x).backward()
            optimizer.step()
    assert watched.run is not None and watched.run.coverage.blind == []
    return watched.run


@pytest.mark.parametrize("draw", [halved, method, distribution])
def test_a_width_that_is_never_below_one(draw: Draw, tmp_path: Path) -> None:
    (finding,) = (f for f in verdict_of("C16", watched(tmp_path, draw)).findings if "noise" in f.evidence)
    assert finding.location is not None and finding.location.code.endswith("# RELU")
    assert finding.patch == f"source:unactivated:test_noise_widths.py:{finding.location.line}"


@pytest.mark.parametrize("draw", [free, softplus, without_noise, clamped])
def test_other_widths_pass(draw: Draw, tmp_path: Path) -> None:
    assert watched(tmp_path, draw).recorded(NoiseWidth) == []


@pytest.mark.parametrize(
    ("statement", "wanted"),
    [
        ("return F.relu(self.mu(h)), F.relu(self.logvar(h))", "return (self.mu(h), self.logvar(h))"),
        ("logvar = self.logvar(h).relu()", "logvar = self.logvar(h)"),
        ("h = torch.tanh(self.one(x))", ""),
    ],
)
def test_a_statement_without_its_relu(statement: str, wanted: str) -> None:
    source = f"def forward(x):\n    {statement}\n" if statement.startswith("return") else statement
    assert statement_at(source, "unactivated", 2 if statement.startswith("return") else 1) == wanted
