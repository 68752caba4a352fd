"""Minima and maxima over products with a mask, in real trainings; and the trial that leaves the zeros out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.masked_extremes import MaskedExtreme
from flightcheck.testing import verdict_of
from tests.lab.made import patched

HERE = Path(__file__).name
KEPT = (torch.arange(8)[:, None] + torch.arange(8)[None]) % 3 > 0
Rows = Callable[[Tensor], Tensor]


def least(far: Tensor) -> Tensor:
    return (far * KEPT.float()).min(dim=1).values


def least_of_booleans(far: Tensor) -> Tensor:
    return torch.amin(KEPT * far, 1)


def largest_of_negatives(far: Tensor) -> Tensor:
    return -torch.multiply(-far, KEPT.to(far)).amax(dim=-1)


def largest(far: Tensor) -> Tensor:
    """Zeros are below all distances: right."""
    return (far * KEPT.float()).max(1).values


def filled(far: Tensor) -> Tensor:
    return far.masked_fill(~KEPT, torch.inf).min(1)[0]


def weighted(far: Tensor) -> Tensor:
    """No mask: a weight is a number like any other."""
    return (far * (KEPT.float() * 0.5)).min(1).values


def of_all(far: Tensor) -> Tensor:
    return (far * KEPT.float()).min() + 0 * far.sum(1)


def centered(far: Tensor) -> Tensor:
    """Some values lie on either side of zero."""
    return ((far - far.mean()) * KEPT.float()).min(1).values


def train(rows: Rows, steps: int = 6) -> None:
    torch.manual_seed(0)
    model = nn.Linear(5, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(steps):
        z = model(torch.randn(8, 5))
        optimizer.zero_grad()
        (rows((z[:, None] - z[None]).pow(2).sum(-1) + 0.1).mean() + z.pow(2).mean()).backward()
        optimizer.step()


def recorded(rows: Rows, folder: Path) -> flightcheck.Run:
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        train(rows)
    assert watched.run is not None
    assert not watched.run.coverage.blind
    return watched.run


@pytest.mark.parametrize("rows", [least, least_of_booleans, largest_of_negatives])
def test_zeros_of_a_mask_that_always_win(rows: Rows, tmp_path: Path) -> None:
    run = recorded(rows, tmp_path)
    (found,) = run.recorded(MaskedExtreme)
    assert (found.calls, found.rows, found.lost) == (6, 48, 48)
    assert found.operation == ("max" if rows is largest_of_negatives else "min")
    (finding,) = verdict_of("L29", run).findings
    assert finding.location is not None
    assert finding.location.function == rows.__name__


@pytest.mark.parametrize("rows", [largest, filled, weighted, of_all, centered])
def test_what_is_right_or_no_mask_is_not_told(rows: Rows, tmp_path: Path) -> None:
    assert not verdict_of("L29", recorded(rows, tmp_path)).findings


@pytest.mark.parametrize("rows", [least, least_of_booleans, largest_of_negatives])
def test_the_trial_takes_the_extreme_of_what_the_mask_left(rows: Rows, tmp_path: Path) -> None:
    patch = f"extreme:{HERE}:{rows.__code__.co_firstlineno + 1}"
    seen: list[tuple[Tensor, Tensor]] = []

    def looking(far: Tensor) -> Tensor:
        found = rows(far)
        seen.append((far.detach(), found.detach()))
        return found

    assert patched(tmp_path, patch, lambda: train(looking, steps=3)).applied == {patch: 3}
    for far, found in seen:
        assert torch.allclose(found, far.masked_fill(~KEPT, torch.inf).amin(1))
