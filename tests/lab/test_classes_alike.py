"""Are weights of the classes asked for? Only by a number of the script's own in which the classes count alike."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.lab.trials import Trial
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import Location
from tests.checks._batches import batches, losses
from tests.lab.test_experiments import Numbers, questions, watched

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
UNEVEN = [
    SITE,
    *losses([0.5] * 10, every=1, label_counts=[60, 4], target_shape=[64]),
    *batches(10, shape=[64, 20]),
]


def asked(name: str, before: float, after: float, *more: Any) -> list[Experiment]:
    """The experiments of D10, in a training that prints this number."""

    def printed(trial: Trial) -> list[Any]:
        reached = after if any(p.kind == "loss" for p in trial.patches) else before
        return [PrintedNumber(i, name, reached + 0.001 * trial.seed, True) for i in range(4)]

    runner = Numbers()
    runner.more = printed
    known = [PrintedNumber(40, name, before, True)]
    found = questions(runner, run=watched(extra=[*UNEVEN, *known, *more]))
    return [e for e in found if e.question == "D10"]


@pytest.mark.parametrize(
    ("name", "before", "after", "status"),
    [
        ("balanced accuracy", 0.52, 0.85, "confirmed"),
        ("test macro f1", 48.0, 71.0, "confirmed"),
        ("recall of the torn ones", 0.03, 0.7, "confirmed"),
        ("recall of the torn ones", 0.4, 0.9, "inconclusive"),
        ("balanced accuracy", 0.78, 0.83, "inconclusive"),
        ("balanced accuracy", 0.5, 0.6, "inconclusive"),
    ],
)
def test_a_number_of_the_script_decides(name: str, before: float, after: float, status: str) -> None:
    (e,) = asked(name, before, after)
    assert (e.status, e.patch, e.metric) == (status, "loss:balanced=600,40", f"printed {name}")


def test_accuracy_tells_nothing_of_the_rare_class() -> None:
    assert asked("test accuracy", 0.95, 0.97) == []
    assert asked("test auc", 0.6, 0.9) == [], "which threshold is meant is not known"
