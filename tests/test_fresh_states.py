"""Recurrent cells that are called for each step of a sequence: do they go on, or start from zeros each time?"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.sequences import FreshState
from flightcheck.testing import verdict_of

CELL, LAYER = nn.GRUCell(3, 6), nn.LSTM(3, 6, batch_first=True)


def forgetting(x: Tensor) -> Tensor:
    return torch.stack([CELL(x[:, t], torch.zeros(len(x), 6)) for t in range(5)], 1)


def without_state(x: Tensor) -> Tensor:
    return torch.cat([LAYER(step)[0] for step in x.split(1, dim=1)], 1)


def going_on(x: Tensor) -> Tensor:
    h, out = torch.zeros(len(x), 6), []
    for t in range(5):
        h = CELL(x[:, t], h)
        out.append(h)
    return torch.stack(out, 1)


def with_state(x: Tensor) -> Tensor:
    state, out = None, []
    for step in x.split(1, dim=1):
        y, state = LAYER(step, state)
        out.append(y)
    return torch.cat(out, 1)


def whole(x: Tensor) -> Tensor:
    return torch.cat([LAYER(part)[0] for part in x.split(2)])


def run_of_training(unrolled: Callable[[Tensor], Tensor], folder: Path) -> flightcheck.Run:
    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD([*CELL.parameters(), *LAYER.parameters()], lr=0.1)
        for _ in range(5):
            optimizer.zero_grad()
            unrolled(torch.randn(8, 5, 3)).pow(2).mean().backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize("unrolled", [forgetting, without_state])
def test_a_state_of_zeros_at_each_step_is_told(unrolled: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    run = run_of_training(unrolled, tmp_path)
    (found,) = run.recorded(FreshState)
    assert found.fresh == found.calls == 5 * found.rounds
    (finding,) = verdict_of("C23", run).findings
    assert finding.severity is None and finding.patch.startswith("carry-state:test_fresh_states.py:")
    assert len(finding.parameters) == 1


@pytest.mark.parametrize("unrolled", [going_on, with_state, whole])
def test_a_state_that_goes_on_is_not(unrolled: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    assert verdict_of("C23", run_of_training(unrolled, tmp_path)).findings == ()
