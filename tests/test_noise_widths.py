"""Noise as wide as a model says: and where it cannot say little."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.checks.connections.c16_output_range_mismatch import noise_width, without_relu
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.noise_widths import NoiseWidth
from flightcheck.recording.rewriting import statement_at
from flightcheck.recording.run import Run
from flightcheck.testing import verdict_of

Draw = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


TERMS: list[torch.Tensor] = []
"""Of the loss: a divergence."""


class Encoder(nn.Module):
    def __init__(self, draw: Draw) -> None:
        super().__init__()
        self.mu, self.width, self.back = nn.Linear(4, 2), nn.Linear(4, 2), nn.Linear(2, 4)
        self.draw = draw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.back(self.draw(self.mu(x), self.width(x)))  # type: ignore[no-any-return]


def halved(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    logvar = F.relu(width)  # RELU
    z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
    TERMS[:] = [(mu.pow(2) + logvar.exp() - 1 - logvar).mean()]
    return z


def method(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    logvar = width.relu()  # RELU
    std = logvar.div(2).exp()
    z = std * torch.randn(std.shape) + mu
    TERMS[:] = [-0.5 * (1 + logvar - mu**2 - torch.exp(logvar)).mean()]
    return z


def distribution(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    log_std = torch.relu(width)  # RELU
    z = torch.distributions.Normal(mu, log_std.exp()).rsample()  # type: ignore[no-untyped-call]
    TERMS[:] = [(mu.pow(2) + (2 * log_std).exp()).mean() - log_std.mean()]
    return z  # type: ignore[no-any-return]


def free(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu.relu() + torch.randn_like(mu) * torch.exp(0.5 * width)


def softplus(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu + torch.randn_like(mu) * F.softplus(width)


def without_noise(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    return mu * torch.exp(F.relu(width))


def floor(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    """A noise of the world that has a least width: no term of the loss keeps it small."""
    return mu + torch.randn_like(mu) * torch.exp(F.relu(width))


def precision(mu: torch.Tensor, width: torch.Tensor) -> torch.Tensor:
    log_precision = F.relu(width)
    z = mu + torch.randn_like(mu) * torch.exp(-0.5 * log_precision)
    TERMS[:] = [(mu.pow(2) + (-log_precision).exp() + log_precision).mean()]
    return z


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
            TERMS.clear()
            loss = F.mse_loss(model(x), x)
            (loss + sum(TERMS)).backward()
            optimizer.step()
    assert watched.run is not None and watched.run.coverage.blind == []
    return watched.run


@pytest.mark.parametrize("draw", [halved, method, distribution])
def test_a_width_that_is_never_below_one(draw: Draw, tmp_path: Path) -> None:
    run = watched(tmp_path, draw)
    width = noise_width(run)
    assert width is not None and width.relu is not None and width.relu.code.endswith("# RELU")
    patch = without_relu(width)
    assert patch == f"source:unactivated:test_noise_widths.py:{width.relu.line}"
    for status, told in (("confirmed", True), ("refuted", False)):
        run.records["Experiment"] = [Experiment("C16", patch, status=status)]
        found = [f for f in verdict_of("C16", run).findings if "noise" in f.evidence]
        assert [f.location for f in found] == [width.relu] * told


@pytest.mark.parametrize("draw", [free, softplus, without_noise, clamped, floor, precision])
def test_other_widths_pass(draw: Draw, tmp_path: Path) -> None:
    assert noise_width(watched(tmp_path, draw)) is None


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


def test_a_batch_without_rows_is_no_error_of_ours(tmp_path: Path) -> None:
    model = Encoder(halved)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as seen:
        for i in range(12):
            model(torch.randn(8 * (i % 2), 4)).sum().backward()
            optimizer.step()
    assert seen.run is not None and seen.run.coverage.blind == []
    (width,) = seen.run.recorded(NoiseWidth)
    assert width.calls > 0
