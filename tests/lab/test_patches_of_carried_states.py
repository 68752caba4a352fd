"""Patches of recurrent cells that start from zeros at each step of a sequence."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from tests.lab.made import patched

STEPS = 4


def forgetting(cell: nn.GRUCell, x: Tensor) -> Tensor:
    h = torch.zeros(len(x), 6)
    for t in range(STEPS):
        h = cell(x[:, t], torch.zeros(len(x), 6))  # here
    return h


def going_on(cell: nn.GRUCell, x: Tensor) -> Tensor:
    h = torch.zeros(len(x), 6)
    for t in range(STEPS):
        h = cell(x[:, t], h)  # here
    return h


def outputs(
    folder: Path, patch: str, unrolled: Callable[[nn.GRUCell, Tensor], Tensor]
) -> tuple[Tensor, dict[str, int]]:
    """What a training computes in its rounds, and how often the patch acted."""
    torch.manual_seed(0)
    cell, seen = nn.GRUCell(3, 6), []

    def loop() -> None:
        optimizer = torch.optim.SGD(cell.parameters(), lr=0.0)
        for k in range(3):
            torch.manual_seed(k)
            optimizer.zero_grad()
            last = unrolled(cell, torch.randn(8, STEPS, 3))
            last.square().mean().backward()
            optimizer.step()
            seen.append(last.detach().clone())

    done = patched(folder, patch, loop)
    assert done.errors == []
    return torch.stack(seen), done.applied


def line_of(function: Callable[..., object]) -> int:
    source, first = inspect.getsourcelines(function)
    return first + next(k for k, text in enumerate(source) if "# here" in text)


@pytest.mark.parametrize("unrolled", [forgetting, going_on])
def test_the_state_of_the_call_before_is_handed_on(
    tmp_path: Path, unrolled: Callable[[nn.GRUCell, Tensor], Tensor]
) -> None:
    patch = f"carry-state:{Path(__file__).name}:{line_of(unrolled)}"
    found, applied = outputs(tmp_path / "patched", patch, unrolled)
    wanted, _ = outputs(tmp_path / "plain", "", going_on)
    assert torch.equal(found, wanted)
    assert bool(applied) == (unrolled is forgetting)


def test_another_line_is_left_alone(tmp_path: Path) -> None:
    found, applied = outputs(tmp_path / "patched", f"carry-state:{Path(__file__).name}:1", forgetting)
    wanted, _ = outputs(tmp_path / "plain", "", forgetting)
    assert torch.equal(found, wanted) and applied == {}
