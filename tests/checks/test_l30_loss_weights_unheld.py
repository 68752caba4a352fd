"""L30 loss-weights-unheld."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.learned_weights import LearnedWeights
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.testing import run_of, verdict_of

HELD = ParameterInfo(0, "log_var", -1, [2], "vector", numel=2, optimizers=[0])
STEPS = OptimizerInfo(0, "Adam", Location("train.py", 40), steps=8)
VALUES = [[1 - 0.01 * i, 1 - 0.02 * i] for i in range(8)]
FOUND = LearnedWeights(Location("train.py", 20), False, 0, [0], backwards=8, values=VALUES)


def judged(found: LearnedWeights) -> Verdict:
    return verdict_of("L30", run_of(HELD, STEPS, found, steps=8))


def test_weights_that_fall_in_each_pass_fail_at_their_line() -> None:
    (finding,) = judged(FOUND).findings
    assert finding.location == FOUND.location
    assert finding.patch == "weights-held:0@train.py:20"


def test_divisors_that_rise_fail() -> None:
    (finding,) = judged(replace(FOUND, quotient=True, values=[[1 + 0.1 * i] for i in range(8)])).findings
    assert "divided" in finding.message
    assert not judged(replace(FOUND, quotient=True)).findings


def test_held_or_balanced_weights_pass() -> None:
    assert judged(replace(FOUND, held=8)).status == "pass"
    assert judged(replace(FOUND, values=[[0.5 - 0.01 * i, 0.5 + 0.01 * i] for i in range(8)])).status == "pass"
    assert judged(replace(FOUND, values=[*VALUES, VALUES[0]])).status == "pass"
    assert judged(replace(FOUND, values=[[-v for v in values] for values in VALUES])).status == "pass"


def test_few_passes_are_inconclusive_and_no_step_is_skipped() -> None:
    assert judged(replace(FOUND, backwards=3, values=VALUES[:3])).status == "inconclusive"
    assert verdict_of("L30", run_of()).status == "skipped"
