"""Draws that give no gradient to the model that made their distribution, in real trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import flightcheck
from flightcheck.recording.loss_records import RandomDraw
from flightcheck.recording.run import Run

Loss = Callable[[torch.Tensor, torch.Tensor, nn.Module, torch.Tensor], torch.Tensor]


def run_of_training(loss: Loss, tmp_path: Path) -> Run:
    torch.manual_seed(0)
    encoder, decoder = nn.Linear(6, 4), nn.Linear(2, 6)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD([*encoder.parameters(), *decoder.parameters()], lr=0.01)
        for _ in range(10):
            x = torch.randn(8, 6)
            mean, width = encoder(x).chunk(2, 1)
            optimizer.zero_grad()
            loss(mean, width.exp(), decoder, x).backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run


def squared(code: torch.Tensor, decoder: nn.Module, x: torch.Tensor) -> torch.Tensor:
    error: torch.Tensor = ((decoder(code) - x) ** 2).mean()
    return error


LOOSE: dict[str, Loss] = {
    "torch.normal": lambda m, s, d, x: squared(torch.normal(m, s), d, x) + (m**2).mean(),
    "sample": lambda m, s, d, x: squared(Normal(m, s).sample(), d, x) + (m**2).mean(),
    "torch.bernoulli": lambda m, s, d, x: squared(torch.bernoulli(m.sigmoid()), d, x),
}
CONNECTED: dict[str, Loss] = {
    "reparameterized": lambda m, s, d, x: squared(m + s * torch.randn_like(s), d, x),
    "rsample": lambda m, s, d, x: squared(Normal(m, s).rsample(), d, x),
    "score function": lambda m, s, d, x: -Normal(m, s).log_prob(Normal(m, s).sample()).mean() + squared(m, d, x),
    "straight-through": lambda m, s, d, x: squared(
        m.sigmoid() + (torch.bernoulli(m.sigmoid()) - m.sigmoid()).detach(), d, x
    ),
    "noise on the data": lambda m, s, d, x: squared(m, d, torch.normal(x, 0.1)),
}


@pytest.mark.parametrize("operation", LOOSE)
def test_draws_without_a_gradient_are_seen(operation: str, tmp_path: Path) -> None:
    run = run_of_training(LOOSE[operation], tmp_path)
    (draw,) = run.recorded(RandomDraw)
    assert draw.operation == operation
    assert draw.location is not None
    assert len(draw.parameters) == 2
    assert draw.rounds >= 3


@pytest.mark.parametrize("name", CONNECTED)
def test_draws_that_need_none_are_not(name: str, tmp_path: Path) -> None:
    assert run_of_training(CONNECTED[name], tmp_path).recorded(RandomDraw) == []
