"""T02 step-not-deterministic."""

from __future__ import annotations

import pytest

from flightcheck.recording.experiments import Probe
from flightcheck.testing import run_of, verdict_of


@pytest.mark.parametrize(("difference", "word"), [(0.01, "generator"), (1e-7, "rounding")])
def test_other_losses_are_advice(difference: float, word: str) -> None:
    (finding,) = verdict_of(
        "T02", run_of(Probe("repeat", {"equal": False, "step": 3, "difference": difference}))
    ).findings
    assert word in finding.message


def test_equal_losses_pass() -> None:
    assert verdict_of("T02", run_of(Probe("repeat", {"equal": True, "step": -1, "difference": 0.0}))).status == "pass"


def test_without_trials_it_is_inconclusive() -> None:
    assert verdict_of("T02", run_of()).status == "inconclusive"
