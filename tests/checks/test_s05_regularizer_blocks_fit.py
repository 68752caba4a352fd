"""S05 regularizer-blocks-fit."""

from __future__ import annotations

from typing import Any

from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, ModuleInfo, Plan
from flightcheck.testing import run_of, verdict_of

DROPOUT = ModuleInfo(1, "model.drop", "Dropout", "dropout", 0, Location("train.py", 9), settings={"p": 0.97})


def tried(status: Any) -> Experiment:
    values: dict[str, Any] = {"start": 2.3, "before": 2.29, "after": 1.2, "seeds": 3, "steps": 80, "metric": "error"}
    return Experiment("S05", "regularization:dropout", "fix", status, **values)


def test_dropout_that_holds_the_training_back_is_told_at_its_line() -> None:
    (finding,) = verdict_of("S05", run_of(DROPOUT, tried("confirmed"))).findings
    assert finding.location == DROPOUT.location


def test_a_training_that_is_slow_without_it_too_passes() -> None:
    assert verdict_of("S05", run_of(DROPOUT, tried("refuted"))).status == "pass"


def test_not_asked_is_inconclusive() -> None:
    assert verdict_of("S05", run_of(DROPOUT)).status == "inconclusive"


def test_a_gan_is_skipped() -> None:
    assert verdict_of("S05", run_of(DROPOUT, tried("confirmed"), Plan(regimes=["gan"]))).status == "skipped"
