"""Trials of trainings that make one step where they could make many, judged after as many batches or at their ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Finding
from flightcheck.checks.parameters.p12_step_protocol_broken import StepProtocolBroken
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.experiments import Experiment, TrialInfo
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.signals import ERROR, LEARNING_RATE, LOSS
from flightcheck.testing import run_of
from tests.lab.test_experiments import Numbers, watched

INTO = "source:into:train.py:65"


class Passes(Numbers):
    """The error falls by the same factor in each step; a number of the evaluation follows each pass."""

    def __init__(
        self, factor: float = 0.99, batches: int = 10, *, patched: float = 0.0, evaluates: bool = True
    ) -> None:
        super().__init__()
        self.factor, self.batches, self.patched, self.evaluates = factor, batches, patched or factor, evaluates

    def _one(self, trial: Trial) -> Trained:
        self.run_.append(trial)
        noise = 1 + 0.01 * np.random.default_rng(trial.seed).normal(size=trial.steps)
        values = 2.0 * (self.patched if trial.patches else self.factor) ** np.arange(trial.steps) * noise
        info = TrialInfo([str(p) for p in trial.patches], trial.seed, {str(p): 1 for p in trial.patches})
        ends = range(self.batches if trial.patches else 1, trial.steps + 1, self.batches if trial.patches else 1)
        told = (
            [Evaluation(s, 0, 1, None, losses=1, loss_value=float(values[s - 1])) for s in ends]
            if self.evaluates
            else []
        )
        series = {LOSS: list(values), ERROR: list(values)}
        return Trained.of(trial, run_of(info, *told, series=series, ended=self.ended, steps=trial.steps), 0.0)


def tried(runner: Numbers, steps: int = 500, ended: str = "stopped", **evidence: Any) -> Experiment:
    finding = Finding("…", patch=INTO, evidence=evidence)
    run = watched(ended=ended, steps=steps)
    (e,) = [
        x for x in investigate(Lab(runner, 60.0), run, [Candidate(StepProtocolBroken.info, finding)]) if x.patch == INTO
    ]
    return e


@pytest.mark.parametrize("evaluates", [True, False])
def test_what_is_further_after_as_many_batches_is_confirmed(evaluates: bool) -> None:
    runner = Passes(evaluates=evaluates)
    e = tried(runner, batches_per_step=10)
    assert (e.status, e.metric, e.steps) == ("confirmed", "evaluation" if evaluates else "error", 12)
    assert [t.steps for t in runner.run_[:2]] == [12, 120]


@pytest.mark.parametrize("patched", [1.0, 1.001])
def test_steps_that_teach_nothing_are_not_confirmed(patched: float) -> None:
    e = tried(Passes(factor=0.98, patched=patched), batches_per_step=10)
    assert e.status in ("refuted", "inconclusive")
    assert e.after is not None and e.before is not None and e.after > e.before


def test_a_training_that_was_watched_to_its_end_is_tried_to_its_end() -> None:
    runner = Passes()
    e = tried(runner, 20, "finished", rounds=10)
    assert (e.status, e.metric) == ("confirmed", "evaluation")
    assert [t.steps for t in runner.run_[:2]] == [21, 210]
    assert e.afters[0] < e.befores[0]
    worse = tried(Passes(factor=0.98, patched=1.0), 20, "finished", rounds=10)
    assert worse.status == "inconclusive", "more rounds may be too many, and refute nothing"


def test_passes_that_are_too_long_are_left_alone() -> None:
    e = tried(Passes(), batches_per_step=1000)
    assert (e.status, e.reason) == ("untested", "4 passes of 1000 steps are too many")


def test_few_updates_that_get_nowhere_are_asked_for_more_before_a_larger_rate() -> None:
    longer = "source:longer@8:train.py:20"
    run = watched(ended="finished", steps=60, extra=[LossSite(0, "cross_entropy", Location("train.py", 9))])
    run.records["Plan"] = [
        Plan(counting_loop=Location("train.py", 20), counted=5, count_written=Location("train.py", 3, "", "E = 5"))
    ]
    run.frames.update(run_of(series={LEARNING_RATE: [0.1] * 60}).frames)

    def asked(ends: dict[str, float]) -> list[Experiment]:
        found = investigate(Lab(Numbers(ends, control=2.25), 60.0), run, [])
        return [e for e in found if e.question in ("P36", "P02")]

    (more,) = asked({longer: 0.1})
    assert (more.status, more.patch, more.steps, more.diff) == ("confirmed", longer, 60, "- E = 5\n+ E = 40")
    assert [e.question for e in asked({longer: 2.2, "lr:x10": 0.1})] == ["P36", "P02"]
