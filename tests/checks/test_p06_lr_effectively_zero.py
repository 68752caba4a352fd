"""P06 lr-effectively-zero: training goes on, the rate is gone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.checks.parameters.p06_lr_effectively_zero import early_decay
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, OptimizerInfo, Plan, SchedulerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, UPDATE_NORM
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 9)
SGD = OptimizerInfo(0, "SGD", Location("train.py", 5), parameters=[0], steps=100)


def verdict(rates: Sequence[float], *more: object, moves: float = 0.0) -> Verdict:
    series = {LEARNING_RATE: [[r] for r in rates], UPDATE_NORM: [[moves if r == 0 else 0.1] for r in rates]}
    return verdict_of("P06", run_of(SGD, *more, series=series))


def test_a_rate_that_decayed_to_nothing_fails_at_the_scheduler() -> None:
    scheduler = SchedulerInfo(0, "ExponentialLR", 0, LINE, calls=100)
    (finding,) = verdict([0.1 * 0.5**i for i in range(100)], scheduler).findings
    assert finding.location == LINE
    assert finding.onset_step == 20
    assert finding.severity is None


def test_zero_from_the_start_fails() -> None:
    (finding,) = verdict([0.0] * 60).findings
    assert finding.location == SGD.location


def test_a_rate_set_by_hand_fails_where_it_is_set() -> None:
    by_hand = replace(SGD, lr_write_location=LINE)
    run = run_of(by_hand, series={LEARNING_RATE: [[0.0]] * 60, UPDATE_NORM: [[0.0]] * 60})
    (finding,) = verdict_of("P06", run).findings
    assert finding.location == LINE


def test_a_warm_up_that_waits_for_its_first_call_warns() -> None:
    scheduler = SchedulerInfo(0, "LambdaLR", 0, LINE, calls=0)
    assert [f.severity for f in verdict([0.0] * 60, scheduler).findings] == ["warn"]


def test_healthy_schedules_pass() -> None:
    assert verdict([0.1] * 100).status == "pass"
    assert verdict([i / 1000 for i in range(100)]).status == "pass", "warm-up from zero"
    assert verdict([0.1 * (1 - i / 100) for i in range(101)]).status == "pass", "annealed to zero at the end"
    assert verdict([0.1] * 20 + [0.0] * 12 + [0.1] * 30).status == "pass", "a cycle"
    assert verdict([0.1] * 92 + [0.0] * 8).status == "pass"


def test_zero_at_the_planned_end_passes() -> None:
    assert verdict([0.1] * 190 + [0.0] * 10, Plan(epochs=10, steps_per_epoch=20)).status == "pass"
    assert verdict([0.1] * 50 + [0.0] * 50, Plan(epochs=10, steps_per_epoch=20)).status == "fail"


def test_optimizers_that_choose_their_own_rate_pass() -> None:
    assert verdict([0.0] * 60, moves=0.01).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict([0.0] * 5).status == "inconclusive"
    assert verdict_of("P06", run_of(series={LEARNING_RATE: [[0.0]] * 50})).status == "skipped"


def test_a_schedule_of_epochs_that_is_called_in_each_batch_fails_at_the_call() -> None:
    call = Location("train.py", 21)
    scheduler = SchedulerInfo(0, "LambdaLR", 0, LINE, step_location=call, calls=100, optimizer_steps_per_call=1.0)
    rates = [0.1 * max(0.0, 1 - i / 15) for i in range(100)]
    (finding,) = verdict(rates, scheduler, Plan(epochs=15, steps_per_epoch=20)).findings
    assert finding.location == call
    assert "length in batches" in finding.fix
    (finding,) = verdict(rates, replace(scheduler, optimizer_steps_per_call=20.0), Plan(60, 20)).findings
    assert finding.location == LINE


HALVED = [0.1 * 0.5 ** (i // 6) for i in range(100)]


def finished(rates: Sequence[float], *more: object) -> Run:
    series = {LEARNING_RATE: [[r] for r in rates], UPDATE_NORM: [[0.1] for _ in rates]}
    return run_of(SGD, *more, series=series, steps=len(rates), ended="finished")


def test_a_rate_that_falls_early_is_told_by_a_trial() -> None:
    scheduler = SchedulerInfo(0, "StepLR", 0, LINE, calls=10)
    for status, told in (("confirmed", True), ("refuted", False), ("inconclusive", False)):
        found = verdict_of(
            "P06", finished(HALVED, scheduler, Experiment("P06", "scheduler:off", status=status))
        ).findings
        assert [(f.location, f.severity, f.onset_step) for f in found] == [(LINE, "warn", 36)] * told
    assert verdict_of("P06", finished(HALVED, scheduler)).status == "pass"


def test_of_which_rates_a_trial_is_made() -> None:
    cosine = [0.05 * (1 + math.cos(math.pi * i / 100)) for i in range(100)]
    tenths = [0.1 * 0.1 ** ((i > 30) + (i > 60) + (i > 90)) for i in range(100)]
    asked = [HALVED, cosine, tenths, [0.1] * 100, [i / 1000 for i in range(100)]]
    assert [early_decay(finished(rates)) is not None for rates in asked] == [True, False, False, False, False]
