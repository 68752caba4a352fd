"""The loop through which the calls of an evaluation came, where a function is called for each batch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.batches import Evaluation

BATCHES = [torch.randn(4, 3) for _ in range(3)]


def mean(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    return model(x).mean()  # type: ignore[no-any-return]


def listed(model: nn.Module) -> None:
    torch.stack([mean(model, x) for x in BATCHES])  # the list


def looped(model: nn.Module) -> None:
    for x in BATCHES:
        score = functools.partial(mean, model)
        score(x)  # the loop


def within(model: nn.Module) -> None:
    for x in BATCHES:
        model(x).mean()


def once(model: nn.Module) -> None:
    mean(model, BATCHES[0])


def twice(model: nn.Module) -> None:
    mean(model, BATCHES[0])
    mean(model, BATCHES[1])


def evaluation_of(evaluate: Callable[[nn.Module], None], tmp_path: Path) -> Evaluation:
    model = nn.Linear(3, 2)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(2):
            for x in BATCHES:
                optimizer.zero_grad()
                F.mse_loss(model(x), x[:, :2]).backward()
                optimizer.step()
            with torch.no_grad():
                evaluate(model)
    assert watched.run is not None
    return watched.run.evaluations[0]


@pytest.mark.parametrize(("evaluate", "mark"), [(listed, "# the list"), (looped, "# the loop")])
def test_a_function_that_is_called_for_each_batch(
    evaluate: Callable[[nn.Module], None], mark: str, tmp_path: Path
) -> None:
    found = evaluation_of(evaluate, tmp_path)
    assert found.loop_location is not None
    assert found.loop_location.code.endswith(mark)
    assert found.location is not None
    assert "model(x).mean()" in found.location.code


@pytest.mark.parametrize("evaluate", [within, once, twice])
def test_the_call_itself_where_no_other_line_goes_round(evaluate: Callable[[nn.Module], None], tmp_path: Path) -> None:
    assert evaluation_of(evaluate, tmp_path).loop_location is None
