"""S05 regularizer-blocks-fit."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.checks.start.s05_regularizer_blocks_fit import gets_going
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, ModuleInfo, Plan
from flightcheck.recording.signals import LOSS
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


@pytest.mark.parametrize(
    ("losses", "told"),
    [
        ([2.3] * 60 + [2.3 * 0.98**i for i in range(340)], False),  # slow at first, and on its way by itself
        ([2.3 - 0.001 * i for i in range(400)], True),
        ([2.3 * 0.9**i for i in range(60)], True),  # no longer than a trial: nothing is known of what comes
    ],
    ids=["gets going", "stands still", "few steps"],
)
def test_a_training_that_gets_going_by_itself_is_not_held_back(losses: list[float], told: bool) -> None:
    run = run_of(DROPOUT, tried("confirmed"), series={LOSS: losses})
    assert bool(verdict_of("S05", run).findings) == told
    assert gets_going(run) != told


def test_not_asked_is_inconclusive() -> None:
    assert verdict_of("S05", run_of(DROPOUT)).status == "inconclusive"


def test_a_gan_is_skipped() -> None:
    assert verdict_of("S05", run_of(DROPOUT, tried("confirmed"), Plan(regimes=["gan"]))).status == "skipped"


def smoothed(share: float, calls: int = 100) -> LossSite:
    settings = {"label_smoothing": share}
    made = Location("train.py", 30)
    return LossSite(0, "cross_entropy", Location("train.py", 50), settings, train_calls=calls, module_location=made)


def test_a_target_that_leaves_little_to_the_right_class_is_told_where_the_loss_is_made() -> None:
    (finding,) = verdict_of("S05", run_of(smoothed(0.9))).findings
    assert (finding.location, finding.patch) == (Location("train.py", 30), "regularization:label_smoothing")


def test_usual_label_smoothing_is_not_told() -> None:
    assert not verdict_of("S05", run_of(smoothed(0.3))).findings
    assert not verdict_of("S05", run_of(smoothed(0.5))).findings


def test_label_smoothing_of_an_evaluation_is_not_told() -> None:
    assert not verdict_of("S05", run_of(smoothed(0.9, calls=0))).findings
