"""What only some trainings give a reason to try."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.checks.registry import all_checks
from flightcheck.lab import particulars as module
from flightcheck.lab.experiments import Lab
from flightcheck.lab.particulars import particulars
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import Run
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


@pytest.mark.parametrize(("code", "question"), module._QUESTIONS, ids=lambda v: v if isinstance(v, str) else v.__name__)
def test_a_question_belongs_to_a_check_and_has_no_words_for_a_training_without_the_reason(
    code: str, question: Any
) -> None:
    assert code in all_checks()
    assert list(question(Lab(Numbers(), 60.0), watched())) == []
