"""C01 gradient-check-failed."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.recording.experiments import Probe
from flightcheck.testing import run_of, verdict_of


def asked(error: float, on_purpose: bool = False) -> Probe:
    function: dict[str, Any] = {
        "name": "Swish",
        "file": "train.py",
        "line": 12,
        "error": error,
        "on_purpose": on_purpose,
    }
    return Probe("gradients", {"functions": [function]})


def test_a_wrong_backward_is_told_at_its_line() -> None:
    (finding,) = verdict_of("C01", run_of(asked(0.14))).findings
    assert finding.location is not None
    assert finding.location.line == 12


@pytest.mark.parametrize("probe", [asked(1e-6), asked(1.0, on_purpose=True)], ids=["right", "straight-through"])
def test_other_functions_pass(probe: Probe) -> None:
    assert verdict_of("C01", run_of(probe)).status == "pass"


def test_without_a_function_it_is_inconclusive() -> None:
    assert verdict_of("C01", run_of()).status == "inconclusive"
