"""P41 schedule-returns-rate: the factor of a LambdaLR is the rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, OptimizerInfo, SchedulerInfo
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 9)
ADAM = OptimizerInfo(0, "Adam", Location("train.py", 5), parameters=[0], steps=100)


def verdict(rates: Sequence[float], given: float = 5e-3, kind: str = "LambdaLR") -> Verdict:
    schedule = SchedulerInfo(0, kind, 0, LINE, settings={"base_lrs": [given]}, calls=len(rates))
    return verdict_of("P41", run_of(ADAM, schedule, series={LEARNING_RATE: [[r] for r in rates]}))


def test_a_decay_of_the_rate_itself_fails_at_the_schedule() -> None:
    (finding,) = verdict([5e-3 * 5e-3 * (1 - i / 100) for i in range(60)]).findings
    assert finding.location == LINE
    assert "5e-03" in finding.message or "0.005" in finding.message


def test_a_warm_up_to_the_rate_itself_fails_once_it_is_reached() -> None:
    rising = [3e-4 * min(3e-4, 3e-4 * i / 50) for i in range(1, 100)]
    assert verdict(rising, 3e-4).status == "fail"
    assert verdict(rising[:40], 3e-4).status == "inconclusive", "it still rises"
    assert verdict(rising[:20], 3e-4).status == "pass"
    peak = [0.02 * 0.02 * min(1, (i + 1) / 10) * (1 - i / 100) for i in range(60)]
    assert verdict(peak, 0.02).status == "fail"


def test_factors_pass() -> None:
    assert verdict([5e-3 * (1 - i / 100) for i in range(60)]).status == "pass"
    assert verdict([5e-3 * 0.1 ** (i // 20) for i in range(60)]).status == "pass", "in steps"
    assert verdict([0.1] * 30 + [0.01] * 30, 0.1).status == "pass", "a tenth of a tenth, after the whole"
    assert verdict([0.1 * i / 10 for i in range(1, 11) for _ in range(30)], 0.1).status == "pass", "by the epoch"
    assert verdict([1.0 * min(i, 40) / 4000 for i in range(1, 60)], 1.0).status == "pass", "the rate is 1 on purpose"


def test_inconclusive_and_skipped() -> None:
    assert verdict([2.5e-5] * 5).status == "inconclusive"
    assert verdict([0.01] * 60, 0.1).status == "inconclusive", "the first epoch of a warm-up"
    assert verdict([2.5e-5] * 60, kind="StepLR").status == "skipped"


def test_a_resumed_training_is_inconclusive() -> None:
    rates = [0.01] * 30 + [0.001] * 30
    assert verdict(rates, 0.1).status == "fail"
    schedule = SchedulerInfo(0, "LambdaLR", 0, LINE, settings={"base_lrs": [0.1], "last_epoch": 90}, calls=60)
    series = {LEARNING_RATE: [[r] for r in rates]}
    assert verdict_of("P41", run_of(ADAM, schedule, series=series)).status == "inconclusive"
    loaded = replace(ADAM, state_loaded=True)
    schedule = replace(schedule, settings={"base_lrs": [0.1]})
    assert verdict_of("P41", run_of(loaded, schedule, series=series)).status == "inconclusive"
