"""A fault that begins late in a script: both trainings are the same up to there, and are compared from there on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from flightcheck.checks.base import Finding
from flightcheck.lab.agenda import investigate
from flightcheck.lab.candidates import Candidate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.trials import Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment, TrialInfo
from flightcheck.recording.signals import ERROR, LOSS
from flightcheck.testing import run_of
from tests.lab.test_experiments import Numbers, watched
from tests.verdicts import info_of

MATCH = "load:match"


class Second(Numbers):
    """A first training that ends at 0.1 after `begins` steps, and a second one that a patch brings down faster."""

    def __init__(self, begins: int, faster: bool) -> None:
        super().__init__()
        self.begins, self.faster = begins, faster

    def run(self, trials: Sequence[Trial], seconds_left: float) -> list[Trained]:
        return [self._late(t) for t in trials]

    def _late(self, trial: Trial) -> Trained:
        self.run_.append(trial)
        rate = 0.02 if trial.patches and self.faster else 0.002
        noise = 0.002 * np.random.default_rng(trial.seed).normal(size=trial.steps)
        first = 0.1 + 2 * np.exp(-0.1 * np.arange(self.begins))
        values = np.concatenate([first, 2 * np.exp(-rate * np.arange(trial.steps))])[: trial.steps] + noise
        info = TrialInfo([str(p) for p in trial.patches], trial.seed, {str(p): 1 for p in trial.patches})
        return Trained.of(trial, run_of(info, series={LOSS: list(values), ERROR: list(values)}, ended=self.ended), 0.0)


def tried(begins: int, faster: bool, onset: int) -> tuple[Experiment, Second]:
    runner = Second(begins, faster)
    told = Candidate(info_of("P26"), Finding("…", patch=MATCH, onset_step=onset))
    (e,) = [e for e in investigate(Lab(runner, 60.0), watched(), [told]) if e.patch == MATCH]
    return e, runner


def test_the_second_training_is_reached_and_judged_alone() -> None:
    e, runner = tried(480, True, 480)
    assert (e.status, e.seeds) == ("confirmed", 3)
    assert {t.steps for t in runner.run_} == {630}
    assert e.start == pytest.approx(2.0, abs=0.1), "not the start of the first training"


def test_it_can_refute() -> None:
    assert tried(480, False, 480)[0].status in ("refuted", "inconclusive")
    assert tried(480, False, 480)[0].status != "confirmed"


def test_a_fault_beyond_reach_is_not_waited_for() -> None:
    _, runner = tried(480, True, 9000)
    assert max(t.steps for t in runner.run_ if t.patches == (Patch.parse(MATCH),)) <= 400
