"""Angles without digits: sines of numbers of half precision, and of others as large."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.adapters.torch.patching.sources import Helper
from flightcheck.checks.base import Finding
from flightcheck.recording.coarse_angles import CoarseAngles
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import statement_at
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches

SINE = Location("train.py", 21, "forward", "angle.sin()")
HALF = CoarseAngles(SINE, "bfloat16", 1000, 700, 4587.0, 32.0)


class Clock(nn.Module):
    """Told the hours since the beginning, it knows the time of the day."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(2, 1)

    def forward(self, hours: torch.Tensor) -> torch.Tensor:
        angle = hours * (2 * math.pi / 24)
        return self.head(torch.stack([angle.sin(), angle.cos()], 1).float())


def told(tmp_path: Path, make: Callable[[], torch.Tensor]) -> list[Finding]:
    model = Clock()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        hours = make()
        for _ in range(8):
            optimizer.zero_grad()
            model(hours).square().mean().backward()
            optimizer.step()
    assert watched.run is not None and watched.run.coverage.blind == []
    return [f for f in verdict_of("D15", watched.run).findings if "rad apart" in f.message]


def test_times_of_half_precision(tmp_path: Path) -> None:
    hours = torch.arange(0.0, 17520.0, 97)
    (finding,) = told(tmp_path, lambda: hours.bfloat16())
    assert finding.location is not None and "lambda: hours.bfloat16()" in finding.location.code
    assert finding.patch == f"source:single:{Path(__file__).name}:{finding.location.line}"
    assert (finding.severity, finding.evidence["spacing"]) == ("warn", 32.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.arange(0.0, 17520.0, 97),
        lambda: torch.arange(24.0).bfloat16(),
        lambda: torch.arange(0.0, 3000.0, 20).half(),
    ],
    ids=["single", "of a day", "half with digits enough"],
)  # fmt: skip
def test_angles_with_digits_pass(tmp_path: Path, make: Callable[[], torch.Tensor]) -> None:
    assert told(tmp_path, make) == []


def test_numbers_that_are_hashed_or_padded_pass(tmp_path: Path) -> None:
    assert told(tmp_path, lambda: torch.arange(1.7e9, 1.7e9 + 1e6, 1e4)) == []


def test_of_several_lines_that_make_large_numbers_half_precision_none_is_told(tmp_path: Path) -> None:
    def make() -> torch.Tensor:
        torch.full((8,), 1e4).to(torch.bfloat16)
        torch.full((8,), -torch.inf).to(torch.bfloat16)
        return torch.arange(0.0, 17520.0, 97).bfloat16()

    (finding,) = told(tmp_path, make)
    assert (finding.severity, finding.patch) == ("info", "")
    assert finding.location is not None and "angle.sin()" in finding.location.code


@pytest.mark.parametrize(("coarse", "severities"), [(40, []), (150, ["info"]), (499, ["info"]), (500, ["warn"])])
def test_how_many_of_the_angles_are_coarse(coarse: int, severities: list[str]) -> None:
    found = CoarseAngles(SINE, "bfloat16", 1000, coarse, 140.0, 1.0, halved=SINE)
    assert [f.severity for f in verdict_of("D15", run_of(LINEAR, *batches(8), found)).findings] == severities


def test_angles_that_are_made_of_no_input_are_told_at_the_sine() -> None:
    (finding,) = verdict_of("D15", run_of(LINEAR, *batches(8), HALF)).findings
    assert (finding.location, finding.patch) == (SINE, "")


@pytest.mark.parametrize(
    ("code", "made"),
    [
        ("x = t.half()", "x = t.float()"),
        ("yield t[i].to(DTYPE), y", "yield (__flightcheck__.single(t[i], DTYPE), y)"),
        ("x = t.to(device, dtype=d)", "x = __flightcheck__.single(t, device, dtype=d)"),
        ("x = t.float()", ""),
    ],
)
def test_conversions_to_half_precision_are_to_single(code: str, made: str) -> None:
    assert statement_at(code, "single", 1) == made


def test_buffers_of_a_module_that_is_made_half_stay_single() -> None:
    module = nn.Linear(2, 2)
    module.register_buffer("positions", torch.arange(999.0))
    assert Helper.single(module, torch.bfloat16) is module
    assert module.weight.dtype is torch.bfloat16
    assert module.get_buffer("positions").dtype is torch.float32
    assert module.get_buffer("positions")[-1] == 998


def test_what_is_not_made_half_stays_what_it_is() -> None:
    t = torch.arange(3)
    assert Helper.single(t, torch.bfloat16).dtype is Helper.single(t, dtype=torch.float16).dtype is torch.float32
    assert Helper.single(t, torch.float64).dtype is torch.float64
    assert Helper.single(t, "cpu") is t
