"""What the agenda does where the usual measure or moment fails: late findings, late faults, agents."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.lab.agenda import investigate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import NO_PLACE, Trained, Trial
from flightcheck.recording.experiments import NO_TIME
from flightcheck.recording.printed import PrintedNumber
from tests.lab.test_experiments import Numbers, candidate, questions, watched


def test_what_only_the_questions_show_has_its_fix_tried_after_them() -> None:
    late, runner = candidate("D07", "source:unordered:train.py:3"), Numbers({"source:unordered:train.py:3": 0.5})
    *_, last = investigate(Lab(runner, 60.0), watched(), [], lambda found: [late])
    assert (last.question, last.status) == ("D07", "confirmed")
    alone = list(investigate(Lab(Numbers(), 60.0), watched(), []))
    known = candidate("P01", "lr:x0.5")  # asked already
    assert len(list(investigate(Lab(Numbers(), 60.0), watched(), [], lambda found: [known]))) == len(alone)


@pytest.mark.parametrize(("end", "status"), [(0.5, "confirmed"), (2.3, "refuted")])
def test_what_a_probe_shows_is_tried_before_any_question(end: float, status: str) -> None:
    leak, run, runner = candidate("C03", "batch-first"), watched(), Numbers({"batch-first": end})
    first, *others = investigate(Lab(runner, 60.0), run, [], lambda found: [leak] if run.records.get("Probe") else [])
    assert (first.question, first.status) == ("C03", status)
    asked = {e.question for e in others}
    assert asked == set() if status == "confirmed" else asked > {"S02", "P01"}, "it explained nothing"


def test_a_fault_that_begins_late_is_tried_over_more_steps() -> None:
    class Late(Numbers):
        def _one(self, trial: Trial) -> Trained:
            if trial.patches and trial.steps < 400:
                return Trained(trial, None, f"add-parameters: {NO_PLACE}")
            return super()._one(trial)

    found = questions(Late({"add-parameters": 0.5}), candidate("P08", "add-parameters"))[0]
    assert (found.status, found.steps) == ("confirmed", 400)


def test_where_no_time_is_left_for_more_steps_the_first_ones_are_told() -> None:
    class Slow(Numbers):
        def _one(self, trial: Trial) -> Trained:
            return replace(super()._one(trial), seconds=100.0 if trial.seed else 0.0)

    (found,) = questions(Slow(), candidate("L03", "drop-module:softmax"))
    assert (found.status, found.reason, found.steps, found.seeds) == ("inconclusive", NO_TIME, 60, 2)
    assert found.before is not None


def test_an_agent_is_judged_by_its_printed_returns() -> None:
    def printed(trial: Trial) -> list[Any]:
        gained = 0.5 if trial.patches else 0.0
        return [PrintedNumber(i, "mean return", gained + 0.1 * i + 0.01 * trial.seed) for i in range(6)]

    runner = Numbers()
    runner.more = printed
    (e,) = questions(runner, candidate("L07", "align-shapes"), run=watched("reinforcement"))
    assert (e.status, e.metric, e.seeds, e.steps) == ("confirmed", "printed mean return", 5, 2000)
    assert e.before is not None and e.after == pytest.approx(e.before + 0.5)


@pytest.mark.parametrize(("code", "status"), [("L07", "inconclusive"), ("C07", "refuted")])
def test_a_return_that_is_no_better_refutes_no_fact(code: str, status: str) -> None:
    runner = Numbers()
    runner.more = lambda trial: [PrintedNumber(i, "mean return", 0.01 * (i + trial.seed)) for i in range(6)]
    (e,) = questions(runner, candidate(code, "align-shapes"), run=watched("reinforcement"))
    assert e.status == status and (e.reason == "") == (status == "refuted")


def test_where_no_evaluation_was_seen_more_steps_are_tried() -> None:
    """A script that evaluates in each step prints its number at the end."""

    def printed(trial: Trial) -> list[Any]:
        right = 0.9 if trial.patches else 0.5
        return (
            [PrintedNumber(i, "test accuracy", right + 0.01 * trial.seed) for i in range(3)]
            if trial.steps > 300
            else []
        )

    runner = Numbers()
    runner.more = printed
    (e,) = questions(runner, candidate("C30", "mode:eval"))
    assert (e.status, e.metric, e.steps) == ("confirmed", "printed test accuracy", 400)


@pytest.mark.parametrize(("patch", "little"), [("term:2@train.py:59 x0.016", 1.9), ("inputs:standardize", 1.985)])
def test_what_helps_slowly_and_not_yet_by_enough_is_given_more_steps(patch: str, little: float) -> None:
    class Slowly(Numbers):
        def _one(self, trial: Trial) -> Trained:
            self.ends[patch] = 1.2 if trial.steps > 200 else little
            return super()._one(trial)

    (e,) = questions(Slowly(), candidate("C07", patch))
    assert (e.status, e.steps) == ("confirmed", 400 if patch.startswith("term") else 240)
