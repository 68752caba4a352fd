"""C36 random-draw-without-gradient."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.loss_records import RandomDraw
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 12)
WEIGHT = ParameterInfo(0, "mean.weight", -1, [4, 8], "matrix", optimizers=[0])
SGD = OptimizerInfo(0, "SGD", steps=10)
DRAW = RandomDraw("torch.normal", LINE, 0, [0], rounds=8)


def test_a_draw_from_a_trained_distribution_fails() -> None:
    (finding,) = verdict_of("C36", run_of(SGD, WEIGHT, DRAW)).findings
    assert finding.location == LINE
    assert finding.patch == "keep-graph:train.py:12"


def test_what_has_no_reparameterization_has_no_patch() -> None:
    (finding,) = verdict_of("C36", run_of(SGD, WEIGHT, replace(DRAW, operation="torch.bernoulli"))).findings
    assert finding.patch == ""


def test_frozen_parameters_and_single_passes_are_silent() -> None:
    assert verdict_of("C36", run_of(SGD, replace(WEIGHT, optimizers=[]), DRAW)).status == "pass"
    assert verdict_of("C36", run_of(SGD, WEIGHT, replace(DRAW, rounds=1))).status == "pass"


def test_skipped_and_inconclusive() -> None:
    told = verdict_of("C36", run_of(SGD, WEIGHT, replace(DRAW, rounds=1), steps=1))
    assert (told.status, told.reason) == ("inconclusive", "a draw without a gradient was seen in 1 of 3 rounds")
    assert verdict_of("C36", run_of(SGD, WEIGHT, DRAW, Plan(regimes=["reinforcement"]))).status == "skipped"
    assert verdict_of("C36", run_of(SGD)).status == "inconclusive"
