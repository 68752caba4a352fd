"""C26 dropout-before-batchnorm-shift: statistics with and without dropout, and orders that do no harm."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
from flightcheck.testing import run_of, verdict_of

ROOT = RootInfo(0, "model", "Net", Location("train.py", 30), train_calls=120)
DROP = ModuleInfo(1, "model.drop", "Dropout", "dropout", 0, Location("train.py", 22), order=1)
NORM = ModuleInfo(2, "model.norm", "BatchNorm1d", "batchnorm", 0, Location("train.py", 23), order=3)
LATER = ModuleInfo(3, "model.last", "Dropout", "dropout", 0, Location("train.py", 24), order=5)
WITHOUT = [1.0, 1.1, 0.9, 1.0, 1.05, 0.95, 1.0, 1.1]
WITH = [x + 0.3 + 0.01 * i for i, x in enumerate(WITHOUT)]
NORMS = [{"path": "norm", "ratio": 0.6}]


def verdict(*others: Any, calls: int = 120, **changes: Any) -> Verdict:
    shift = {"with": WITH, "without": WITHOUT, "norms": NORMS, **changes}
    probe = Probe("modes", {"calls": calls, "shift": shift})
    return verdict_of("C26", run_of(ROOT, DROP, NORM, LATER, probe, *others))


def test_a_worse_evaluation_with_statistics_of_dropout_fails() -> None:
    (finding,) = verdict().findings
    assert (finding.location, finding.module) == (DROP.location, "model.drop")
    assert finding.patch == "dropout:model.drop=0"
    assert "before model.norm by the factor 1.67" in finding.message
    assert "a loss of 1.35" in finding.message


@pytest.mark.parametrize(
    "changes",
    [
        {"norms": [{"path": "norm", "ratio": 0.9}]},  # dropout behind the last norm, or far before it
        {"with": [x + 0.04 for x in WITHOUT]},  # a shift that does not matter
        {"with": WITHOUT, "without": WITH},
        {"with": [*WITHOUT[:7], 9.0]},  # one batch
    ],
)
def test_shifts_that_do_no_harm_pass(changes: dict[str, Any]) -> None:
    assert verdict(**changes).status == "pass"


def test_early_and_unmeasured_trainings_are_inconclusive() -> None:
    assert verdict(calls=20).status == "inconclusive"
    assert verdict(**{"with": [float("nan")] * 8}).status == "inconclusive"
    assert verdict_of("C26", run_of(ROOT, DROP, NORM)).status == "inconclusive"
    assert verdict_of("C26", run_of(ROOT, DROP, NORM, Probe("modes", {"calls": 120}))).status == "inconclusive"


def test_other_models_and_losses_are_skipped() -> None:
    assert verdict_of("C26", run_of(ROOT, DROP, replace(NORM, kind="norm"))).status == "skipped"
    for regime in ("gan", "contrastive", "reinforcement"):
        assert verdict(Plan(regimes=[regime])).status == "skipped"
