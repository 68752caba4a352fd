"""D15 dtype-or-quantization-loss: digits beyond those of float32, and fractions written into whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from flightcheck.adapters.torch.batches import batch_facts
from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches

ORIGIN = Location("train.py", 10, "scale", "scaled[:, j] = 2 * (x[:, j] - low[j]) / (high[j] - low[j]) - 1")
BUFFER = Location("train.py", 8, "scale", "scaled = np.zeros_like(x)")
RNG = np.random.default_rng(0)
DAYS = 2460410.5 + RNG.integers(0, 60, 640) + RNG.uniform(0.25, 0.65, 640)
DRAWS = RNG.normal(0, 1, (640, 14))


def run(values: Any, *, of: int = 64, buffer: Location | None = None, **changes: Any) -> Verdict:
    """Batches of these values, as the adapter records them."""
    records = []
    for i in range(10):
        facts = batch_facts(torch.as_tensor(values[i * of : (i + 1) * of]), first=True)
        assert facts is not None
        records += batches(1, step=i, origin=ORIGIN, buffer=buffer, **{**facts, **changes})
    return verdict_of("D15", run_of(LINEAR, *records))


@pytest.mark.parametrize(
    ("values", "severity"),
    [
        (np.float32(DAYS), "warn"),
        (np.float32(DAYS)[:, None] + np.float32([[0.0, -2460410.0]]), "warn"),
        (np.float32(1.7e9 + RNG.uniform(0, 3600, 640)), "error"),
        (np.float32(np.stack([DRAWS[:, 0], 5.4e5 + 3 * DRAWS[:, 1]], 1)), "error"),
    ],
    ids=["Julian dates", "one of two features", "an hour of 2023", "coordinates"],
)
def test_digits_that_float32_does_not_hold(values: Any, severity: str) -> None:
    (finding,) = run(values).findings
    assert (finding.severity or "error") == severity
    assert finding.location == ORIGIN
    assert "standard deviation" in finding.message


@pytest.mark.parametrize(
    "values",
    [
        np.float32(DAYS - DAYS.min()),
        np.float32(2460410.5 + RNG.integers(0, 60, 640)),
        np.float32(1.7e9 + RNG.uniform(0, 3e7, 640)),
        np.float32(1960 + RNG.integers(0, 60, 640)),
        np.float32(9_000_000 + RNG.choice([0, 1, 2, 5], 640)),
        np.float32(np.full(640, 2460410.7)),
        DAYS,
        np.float32(DRAWS),
    ],
    ids=["offset taken off", "whole days", "a year of seconds", "years", "a few ids", "constant", "float64", "normal"],
)
def test_what_float32_holds_passes(values: Any) -> None:
    assert run(values).status != "fail"


def truncated(x: Any) -> Any:
    return np.float32(np.trunc(x))


LOW, HIGH = DRAWS.min(0), DRAWS.max(0)
ONE_HOT = np.eye(14)[RNG.integers(0, 14, 640)]


@pytest.mark.parametrize(
    "values",
    [
        truncated(2 * (DRAWS - LOW) / (HIGH - LOW) - 1),
        truncated((DRAWS - LOW) / (HIGH - LOW)),
        truncated(DRAWS),
    ],
    ids=["-1 to 1", "0 to 1", "standardized"],
)
def test_fractions_that_are_written_into_whole_numbers(values: Any) -> None:
    (finding,) = run(values, buffer=BUFFER).findings
    assert finding.location == BUFFER
    assert "array of whole numbers" in finding.message
    assert run(values).status == "pass", "as far as the source tells, nothing was cut off"


@pytest.mark.parametrize(
    "values",
    [
        np.float32(2 * (DRAWS - LOW) / (HIGH - LOW) - 1),
        np.float32(DRAWS),
        np.float32(ONE_HOT),
        np.float32(2 * ONE_HOT - 1),
        np.float32(RNG.integers(0, 2, (640, 14))),
        np.float32(np.round(4 * DRAWS) / 4),
        np.float32(RNG.integers(0, 9, (640, 14))),
    ],
    ids=["scaled", "standardized", "one-hot", "one-hot, scaled", "bits", "coarse", "counts"],
)
def test_what_a_float_array_may_hold_passes(values: Any) -> None:
    assert run(values, buffer=BUFFER).status == "pass"
