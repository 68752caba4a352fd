"""P01 lr-too-high: both an enormous update and harm are needed."""

from __future__ import annotations

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, Plan
from flightcheck.recording.signals import ACTIVATION_DEAD, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 12)
N = 120
FALL = list(2.3 * np.exp(-np.arange(N) / 25))
SPIKE = [2.3, 9.0, 12.0, 8.0, 6.0, *([2.33] * (N - 5))]
HANG = [2.3, 9.0, 12.0, 8.0, 6.0, *([1.2] * (N - 5))]
CALM, WILD = [0.02] * N, [1.6, 0.9, 0.6, 0.5, 0.45, *([0.05] * (N - 5))]


def verdict(
    losses: list[float], ratios: list[float], dead: list[float] | None = None, kind: str = "Adam", *more: object
) -> Verdict:
    series: dict = {LOSS: losses, UPDATE_NORM: [[r] for r in ratios], WEIGHT_NORM: [[1.0]] * len(ratios)}
    if dead:
        series[ACTIVATION_DEAD] = [[d] for d in dead]
    optimizer = OptimizerInfo(0, kind, LINE, groups=[{"lr": 0.1}], steps=len(losses))
    weight = ParameterInfo(0, "net.0.weight", 0, [64, 64], "matrix", optimizers=[0])
    relu = ModuleInfo(0, "net.1", "ReLU", "activation", 0)
    return verdict_of("P01", run_of(optimizer, weight, relu, *more, series=series))


def test_back_at_the_start_after_a_spike_warns() -> None:
    result = verdict(SPIKE, WILD)
    (finding,) = result.findings
    assert finding.location == LINE
    assert finding.severity == "warn"
    assert "lr=0.1" in finding.message


def test_a_loss_that_hangs_with_dead_units_warns() -> None:
    assert verdict(HANG, WILD, [0.02, 0.6, *([0.9] * 10)]).status == "fail"
    assert verdict(HANG, WILD, [0.02] * 12).status == "pass"


def test_divergence_is_an_error_without_lower_severity() -> None:
    grown = [2.3, 9.0, 200.0, 4e4, 1e9, 1e20, *([float("nan")] * 10)]
    ratios = [0.15, 2.0, 1e3, 1e6, 1e9, float("inf"), *([float("nan")] * 10)]
    (finding,) = verdict(grown, ratios, kind="SGD").findings
    assert finding.severity is None
    assert finding.onset_step == 2


def test_nan_without_growth_is_not_the_rate() -> None:
    assert verdict([2.3, 2.2, 2.1, 2.0, 1.9, *([float("nan")] * 30)], WILD[:35]).status == "pass"


def test_enormous_updates_that_do_no_harm_pass() -> None:
    assert verdict(FALL, WILD).status == "pass"


def test_a_loss_that_stands_still_with_normal_updates_passes() -> None:
    assert verdict([2.3] * N, CALM).status == "pass"
    assert verdict([2.3] * N, WILD).status == "pass"


def test_losses_of_gans_are_no_measure() -> None:
    assert verdict(SPIKE, WILD, None, "Adam", Plan(regimes=["gan"])).status == "pass"


def test_a_short_run_is_inconclusive() -> None:
    assert verdict(SPIKE[:20], WILD[:20]).status == "inconclusive"


def test_without_an_optimizer_it_is_skipped() -> None:
    assert verdict_of("P01", run_of(series={LOSS: FALL})).status == "skipped"


def tried(patch: str, status: str, **changes: object) -> Experiment:
    values = {"metric": "loss", "before": 2.1, "after": 0.4, "start": 2.3, "seeds": 3, "steps": 60}
    return Experiment("P01", patch, status=status, **{**values, **changes})  # type: ignore[arg-type]


def test_a_tenth_of_the_rate_that_does_better_in_each_seed_is_enough() -> None:
    (finding,) = verdict(FALL, CALM, None, "Adam", tried("lr:x0.1", "confirmed")).findings
    assert (finding.severity, finding.location, finding.patch) == (None, LINE, "lr:x0.1")
    assert finding.message == (
        "After 60 steps the loss is 2.1 (start 2.3), and 0.4 with 0.1 times the learning rate, in each of 3 seeds."
    )
    assert finding.fix.startswith("Try lr=0.01,")
    (finding,) = verdict(
        [2.3] * N, WILD, None, "Adam", tried("lr:x0.1", "inconclusive"), tried("lr:x0.01", "confirmed")
    ).findings
    assert finding.patch == "lr:x0.01"


def test_trials_that_show_nothing_add_nothing() -> None:
    for status in ("inconclusive", "refuted", "untested"):
        assert verdict(FALL, CALM, None, "Adam", tried("lr:x0.1", status)).status == "pass"


def test_a_suspicion_that_all_smaller_rates_refute_is_dropped_and_a_divergence_is_not() -> None:
    refuted = tried("lr:x0.1", "refuted"), tried("lr:x0.01", "refuted")
    assert verdict(SPIKE, WILD, None, "Adam", *refuted).status == "pass"
    assert verdict(SPIKE, WILD, None, "Adam", refuted[0], tried("lr:x0.01", "inconclusive")).status == "fail"
    grown = [2.3, 9.0, 200.0, 4e4, 1e9, 1e20, *([float("nan")] * 10)]
    ratios = [0.15, 2.0, 1e3, 1e6, 1e9, float("inf"), *([float("nan")] * 10)]
    assert verdict(grown, ratios, None, "SGD", *refuted).status == "fail"


def test_a_loss_that_is_maximized_is_not_judged() -> None:
    series: dict = {LOSS: SPIKE, UPDATE_NORM: [[r] for r in WILD], WEIGHT_NORM: [[1.0]] * N}
    optimizer = OptimizerInfo(0, "Adam", LINE, groups=[{"lr": 0.1, "maximize": True}], steps=N)
    weight = ParameterInfo(0, "net.0.weight", 0, [64, 64], "matrix", optimizers=[0])
    trial = tried("lr:x0.1", "confirmed")
    for code in ("P01", "P02", "P33", "P34", "P36"):
        told = verdict_of(code, run_of(optimizer, weight, trial, series=series))
        assert told.status == "skipped", code
