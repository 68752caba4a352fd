"""What only some trainings give a reason to try."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.checks.registry import all_checks
from flightcheck.lab import particulars as module
from flightcheck.lab.experiments import Lab
from flightcheck.lab.particulars import particulars
from flightcheck.lab.suspicions import Suspicion
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.dropouts import HandmadeDropout
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from tests.checks._batches import LINEAR, batches
from tests.lab.test_experiments import Numbers, watched

REPEATED = DataDigest(
    0, "training", source=0, examples=60,
    turned={"exact": "1", "tiled": False, "groups": 12, "copies": 5, "near": "0", "ratio": 0.4},
)  # fmt: skip
MARKED = DataDigest(1, "training", source=0, examples=60, stand_ins={"0": [[0, -200.0, 9, 3.0, 1.0, 40.0]]})


def asked_of(run: Run, *asked: str) -> list[Experiment]:
    return list(particulars(Lab(Numbers(), 60.0), run, set(asked)))


def test_nothing_is_asked_without_a_reason() -> None:
    assert asked_of(watched()) == []


def test_each_reason_is_asked_once_and_in_the_order_of_the_table() -> None:
    found = asked_of(watched(extra=[MARKED, REPEATED]))
    assert [(e.question, e.patch, e.diff.splitlines()[0]) for e in found] == [
        ("D07", "shuffle:repeated", "- labels"),
        ("D01", "inputs:known", "+ x[x == mark] = float('nan')  # then nanmean, nanstd, and the mean in its place"),
    ]
    assert [e.question for e in asked_of(watched(extra=[MARKED, REPEATED]), "D07")] == ["D01"]


def test_dropout_by_hand_and_quiet_inputs_are_asked_of_evaluations() -> None:
    line = Location("train.py", 15, "forward", "return x * mask / 0.5")
    small = {"minimum": -0.009, "maximum": 0.01, "mean": 0.0, "std": 0.004, "feature_std_max": 0.004}
    of_inputs = [LINEAR, *batches(8, **small)]
    found = asked_of(watched(extra=[HandmadeDropout(line), *of_inputs]))
    assert [(e.question, e.patch) for e in found] == [
        ("C30", "dropout:train.py:15=eval"), ("D03", "inputs:standardize"),
    ]  # fmt: skip


def test_what_begins_in_a_later_phase_is_tried_there(monkeypatch: pytest.MonkeyPatch) -> None:
    for since, steps in ((0, {80, 300}), (1000, {1300}), (9000, {80, 300})):
        told = Suspicion("P21", "accumulate:x0.25", "+ loss / 4", since)
        monkeypatch.setattr(module, "suspicions", lambda run, told=told: iter([told]))
        runner = Numbers()
        tried = list(particulars(Lab(runner, 60.0), watched(), set()))
        assert {(t.question, t.diff) for t in tried} == {("P21", "+ loss / 4")}
        assert {trial.steps for trial in runner.run_} == steps


@pytest.mark.parametrize(("code", "question"), module._QUESTIONS, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_question_belongs_to_a_check_and_has_no_words_for_a_training_without_the_reason(
    code: str, question: Any
) -> None:
    assert code in all_checks()
    assert list(question(Lab(Numbers(), 60.0), watched())) == []
