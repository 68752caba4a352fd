"""Targets that are random numbers and nothing else, in real trainings; and the trial that draws once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.checks.base import Finding
from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.fresh_targets import FreshTarget
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

POINTS = torch.rand(64, 3, generator=torch.Generator().manual_seed(0))
Pair = tuple[torch.Tensor, torch.Tensor]
"""What a model is given, and its target."""


def two_draws(x: torch.Tensor) -> Pair:
    noise = torch.randn_like(x)
    return 0.6 * x + 0.8 * torch.randn_like(x), noise


def scaled_draw(x: torch.Tensor) -> Pair:
    return x + torch.randn(x.shape), -torch.randn(x.shape).reshape(-1, 3) / 0.5


def one_draw(x: torch.Tensor) -> Pair:
    noise = torch.randn_like(x)
    return 0.6 * x + 0.8 * noise, noise


def drawn_in_place(x: torch.Tensor) -> Pair:
    noise = torch.empty_like(x).normal_()
    x = x.clone()
    x.add_(noise)
    return x, noise


def one_seed(x: torch.Tensor) -> Pair:
    torch.manual_seed(5)
    noisy = x + torch.randn_like(x)
    torch.manual_seed(5)
    return noisy, torch.randn_like(x)


def through_numpy(x: torch.Tensor) -> Pair:
    noise = torch.randn_like(x)
    return x + torch.from_numpy(noise.numpy().copy()), noise


def noisy_labels(x: torch.Tensor) -> Pair:
    return x, x.flip(1) + 0.1 * torch.randn_like(x)


FIXED = torch.randn(16, 3)
APART = {f.__name__: f for f in (two_draws, scaled_draw)}
TOGETHER: dict[str, Callable[[torch.Tensor], Pair]] = {
    f.__name__: f for f in (one_draw, drawn_in_place, one_seed, through_numpy, noisy_labels)
}
TOGETHER["drawn once for all"] = lambda x: (x, FIXED)
TOGETHER["a model that is tried out"] = lambda x: (torch.randn(16, 3), torch.randn(16, 3))


def by_hand(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    error: torch.Tensor = (output - target).pow(2).mean()
    return error


def run_of_training(pair: Callable[[torch.Tensor], Pair], loss: Any, folder: Path) -> flightcheck.Run:
    torch.manual_seed(0)
    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for step in range(10):
            given, target = pair(POINTS[16 * (step % 4) : 16 * (step % 4) + 16])
            optimizer.zero_grad()
            loss(model(given), target).backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run


@pytest.mark.parametrize("loss", [F.mse_loss, by_hand])
@pytest.mark.parametrize("name", APART)
def test_a_target_that_no_input_has_seen(name: str, loss: Any, tmp_path: Path) -> None:
    run = run_of_training(APART[name], loss, tmp_path)
    (found,) = run.recorded(FreshTarget)
    assert (found.calls, found.fresh) == (8, 8)
    assert found.location is not None
    assert found.location.function == name
    (finding,) = verdict_of("D07", run).findings
    assert finding.location == found.location


@pytest.mark.parametrize("loss", [F.mse_loss, by_hand])
@pytest.mark.parametrize("name", TOGETHER)
def test_targets_that_something_is_known_of(name: str, loss: Any, tmp_path: Path) -> None:
    run = run_of_training(TOGETHER[name], loss, tmp_path)
    assert run.recorded(FreshTarget) == []
    assert not run.coverage.blind


HERE = Path(__file__).name
FIRST = two_draws.__code__.co_firstlineno + 1


def test_one_draw_for_both(tmp_path: Path) -> None:
    seen: list[Pair] = []

    def loop() -> None:
        model = nn.Linear(3, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        for _ in range(3):
            given, noise = two_draws(POINTS)
            seen.append((given, noise))
            F.mse_loss(model(given), noise).backward()
            optimizer.step()

    patch = f"draws:{HERE}:{FIRST},{FIRST + 1}"
    done = patched(tmp_path, patch, loop)
    assert done.applied == {patch: 3}
    for given, noise in seen:
        assert torch.equal(given, 0.6 * POINTS + 0.8 * noise)
    assert not torch.equal(seen[0][1], seen[1][1])
    with pytest.raises(ValueError, match=r"a value such as train\.py:58,60 wanted"):
        patched(tmp_path, "draws:train.py:58", loop)


def test_what_a_reader_sees() -> None:
    at = Location("train.py", 58, code="noise = torch.randn_like(x)")
    finding = Finding("", location=at, evidence={"other_code": "x = x + torch.randn_like(x)"})
    told = diff_of([Patch("draws", "train.py:58,60")], finding, run_of())
    assert told == "- x = x + torch.randn_like(x)\n+ # the same with noise in the place of a second draw"
