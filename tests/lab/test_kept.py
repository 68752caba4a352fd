"""Trials of how the best model is kept, judged by what is printed at the end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Finding
from flightcheck.checks.tracking.t12_best_not_kept import BestNotKept
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import Plan
from flightcheck.testing import run_of
from tests.lab.test_experiments import Numbers, watched

TURNED = "source:turned:train.py:38"


class Kept(Numbers):
    """Prints a number of the validation after each epoch, and one of the test examples at the end."""

    def __init__(self, name: str, before: float, after: float, again: bool = False) -> None:
        super().__init__()
        self.name, self.levels, self.again = name, (before, after), again
        self.info: dict[str, Any] = {}

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        return [self._told(t) for t in super().run(trials, seconds_left)]

    def _told(self, one: Trained) -> Trained:
        value = self.levels[bool(one.trial.patches)] + 0.01 * one.trial.seed
        told = [PrintedNumber(30, "val", 0.5, True), PrintedNumber(60, "val", 0.6, True)]
        told += [PrintedNumber(30, self.name, value, True)] if self.again else []
        return replace(one, run=run_of(*told, PrintedNumber(60, self.name, value, True), steps=60, **self.info))


def tried(runner: Numbers, meaning: str = "", **info: Any) -> Experiment:
    told = Finding("…", patch=TURNED, evidence={"meaning": meaning})
    run = watched(extra=[Plan(epochs=6, steps_per_epoch=10)] if not info else [], **info)
    (e,) = [e for e in investigate(Lab(runner, 60.0), run, [Candidate(BestNotKept.info, told)]) if e.question == "T12"]
    return e


@pytest.mark.parametrize(
    ("name", "before", "after", "meaning"),
    [("test error", 0.7, 0.4, ""), ("test acc", 0.3, 0.9, ""), ("in their place test", 0.3, 0.9, "higher")],
)
def test_a_better_number_at_the_end_confirms(name: str, before: float, after: float, meaning: str) -> None:
    e = tried(Kept(name, before, after), meaning, ended="finished", steps=60)
    assert (e.status, e.metric, e.seeds) == ("confirmed", f"printed {name}", 3)


def test_one_that_is_no_better_refutes_nothing() -> None:
    e = tried(Kept("test acc", 0.9, 0.9), ended="finished", steps=60)
    assert e.status == "inconclusive"


def test_numbers_of_other_times_or_of_no_direction_do_not_tell() -> None:
    for runner in (
        Kept("test acc", 0.3, 0.9, again=True),
        Kept("in their place test", 0.3, 0.9),
        Kept("acc", 0.3, 0.9),
    ):
        e = tried(runner, ended="finished", steps=60)
        assert (e.status, e.reason) == ("untested", "no number of unseen examples was printed at the end alone")


def test_where_a_training_ends_is_found_out_by_the_first_trial() -> None:
    runner = Kept("test acc", 0.3, 0.9)
    runner.info = {"ended": "finished"}
    e = tried(runner, ended="stopped", steps=60)
    assert (e.status, e.steps, e.seeds) == ("confirmed", 60, 3)
    runner = Kept("test acc", 0.3, 0.9)
    runner.info = {"ended": "stopped"}
    e = tried(runner, ended="stopped", steps=60)
    assert (e.status, e.reason) == ("untested", "the model that is kept shows at the end, which is too far")
    assert runner.asked == ["unchanged, seed 0", f"{TURNED}, seed 0"]
