"""C13 output-collapse."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Plan
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import BATCHES, line, network

SITE = LossSite(0, "cross_entropy", line(50))
CALL = LossCall(
    0, 100, True, [64, 10], [64], [], "float32", "int64", 2.3, -2.0, 1.0, 0, 9,
    classes=10, target_distinct=10, target_std=2.8, input_std=1.0, input_column_spread=1e-5, input_module_location=line(8),
)  # fmt: skip
REGRESSION = replace(SITE, function="mse_loss")


def test_the_same_answer_for_everything_fails() -> None:
    (finding,) = verdict_of("C13", run_of(SITE, CALL, replace(CALL, step=200))).findings
    assert finding.location == line(8)


def test_answers_that_differ_pass() -> None:
    healthy = replace(CALL, input_column_spread=0.8)
    assert verdict_of("C13", run_of(SITE, healthy, replace(healthy, step=200))).status == "pass"


def test_a_regression_with_a_large_mean_passes() -> None:
    mean = replace(CALL, input_min=1999, input_max=2001, input_std=0.9, input_column_spread=0.9, target_std=1.0)
    assert verdict_of("C13", run_of(REGRESSION, mean, replace(mean, step=200))).status == "pass"
    stuck = replace(mean, input_column_spread=1e-6)
    assert verdict_of("C13", run_of(REGRESSION, stuck, replace(stuck, step=200))).status == "fail"


def test_the_first_steps_and_constant_targets_are_inconclusive() -> None:
    assert verdict_of("C13", run_of(SITE, replace(CALL, step=3), replace(CALL, step=4))).status == "inconclusive"
    same = replace(CALL, target_std=0.0, target_distinct=1)
    assert verdict_of("C13", run_of(SITE, same, same)).status == "inconclusive"


def test_gans_are_skipped() -> None:
    assert verdict_of("C13", run_of(SITE, CALL, CALL, Plan(regimes=["gan"]))).status == "skipped"


def test_activations_stand_in_for_a_handmade_loss() -> None:
    dead = {ACTIVATION_RMS: [[1.0] * 5] * 80, ACTIVATION_SPREAD: [[1.0, 1.0, 1e-6, 1e-6, 1e-6]] * 80}
    assert verdict_of("C13", run_of(*network(3), *BATCHES, series=dead)).status == "fail"
    shifted = {ACTIVATION_RMS: [[1.0] * 5] * 80, ACTIVATION_SPREAD: [[1.0, 1.0, 0.5, 0.5, 1e-6]] * 80}
    assert verdict_of("C13", run_of(*network(3), *BATCHES, series=shifted)).status == "pass"
