"""P04 scheduler-order: a scheduler before its optimizer, against another one, or in the wrong mode."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Call, Location, OptimizerInfo, SchedulerInfo
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 20)
ADAM = OptimizerInfo(0, "Adam", steps=50)
STEP_LR = SchedulerInfo(0, "StepLR", 0, Location("train.py", 8), LINE, {"step_size": 10, "gamma": 0.5}, calls=5)


def calls(*kinds: str) -> list[Call]:
    return [Call(i, 0, kind, 0) for i, kind in enumerate(kinds)]


def test_scheduler_first_fails() -> None:
    run = run_of(ADAM, replace(STEP_LR, calls_before_first_step=1), *calls("backward", "scheduler_step", "step"))
    (finding,) = verdict_of("P04", run).findings
    assert finding.location == LINE
    assert finding.severity is None


def test_scheduler_after_the_step_passes() -> None:
    assert verdict_of("P04", run_of(ADAM, STEP_LR, *calls("backward", "step", "scheduler_step"))).status == "pass"


def test_moving_a_schedule_forward_is_info() -> None:
    forward = replace(STEP_LR, calls_before_first_step=3)
    run = run_of(ADAM, forward, *calls("scheduler_step", "scheduler_step", "scheduler_step", "backward", "step"))
    assert [f.severity for f in verdict_of("P04", run).findings] == ["info"]


def test_player_that_steps_later_is_info() -> None:
    critic = replace(ADAM, index=1)
    order = [Call(0, 0, "backward"), Call(1, 0, "step", 1), Call(2, 0, "scheduler_step", 0), Call(3, 1, "step", 0)]
    run = run_of(ADAM, critic, replace(STEP_LR, calls_before_first_step=1), *order)
    assert [f.severity for f in verdict_of("P04", run).findings] == ["info"]


def test_steps_skipped_by_the_scaler_are_info() -> None:
    run = run_of(ADAM, replace(STEP_LR, calls_after_skipped_step=2))
    assert [f.severity for f in verdict_of("P04", run).findings] == ["info"]


def test_plateau_waits_for_a_larger_loss() -> None:
    plateau = SchedulerInfo(0, "ReduceLROnPlateau", 0, LINE, LINE, {"mode": "max", "patience": 2}, calls=6)
    losses = [2.3, 1.9, 1.4, 1.0, 0.8, 0.6]
    order = [Call(i, i, "scheduler_step", 0, data={"metric": m}) for i, m in enumerate(losses)]
    assert verdict_of("P04", run_of(ADAM, plateau, *order)).status == "fail"
    rising = [Call(i, i, "scheduler_step", 0, data={"metric": 1 - m / 3}) for i, m in enumerate(losses)]
    assert verdict_of("P04", run_of(ADAM, plateau, *rising)).status == "pass"


def test_lambda_undoes_plateau() -> None:
    one = SchedulerInfo(0, "LambdaLR", 0, Location("train.py", 8), Location("train.py", 20), calls=10)
    other = SchedulerInfo(1, "ReduceLROnPlateau", 0, Location("train.py", 9), Location("train.py", 21), calls=10)
    order = [Call(i, i, "scheduler_step", i % 2) for i in range(20)]
    (finding,) = verdict_of("P04", run_of(ADAM, one, other, *order)).findings
    assert finding.location == other.location
    chained = replace(one, type="ExponentialLR")
    assert verdict_of("P04", run_of(ADAM, chained, other, *order)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P04", run_of(ADAM, replace(STEP_LR, calls=0))).status == "inconclusive"
    assert verdict_of("P04", run_of(ADAM)).status == "skipped"
