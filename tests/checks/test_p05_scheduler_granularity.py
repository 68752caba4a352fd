"""P05 scheduler-granularity: a schedule in epochs called per batch, or the reverse."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import LoaderInfo, Location, OptimizerInfo, Plan, SchedulerInfo
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 31)
SGD = OptimizerInfo(0, "SGD", steps=300)
PLAN = Plan(epochs=30, steps_per_epoch=100)


def verdict(kind: str, every: float | None, plan: Plan = PLAN, calls: int = 300, **settings: object) -> Verdict:
    scheduler = SchedulerInfo(0, kind, 0, Location("train.py", 8), LINE, settings, calls, 0, 0, every)
    return verdict_of("P05", run_of(SGD, plan, scheduler, steps=300))


def test_cosine_in_epochs_called_per_batch_fails() -> None:
    result = verdict("CosineAnnealingLR", 1.0, T_max=30)
    (finding,) = result.findings
    assert finding.location == LINE
    assert finding.severity is None
    assert finding.evidence["planned_calls"] == 3000


def test_step_decay_called_per_batch_fails_even_with_unknown_epochs() -> None:
    assert verdict("StepLR", 1.0, step_size=5, gamma=0.1).status == "fail"
    assert verdict("StepLR", 1.0, Plan(steps_per_epoch=100), step_size=5, gamma=0.1).status == "fail"
    assert verdict("ExponentialLR", 1.0, gamma=0.9).status == "fail"


def test_one_cycle_over_batches_called_per_epoch_fails() -> None:
    assert verdict("OneCycleLR", 100.0, calls=3, total_steps=3000).status == "fail"
    assert verdict("CosineAnnealingLR", 100.0, calls=3, T_max=3000).status == "fail"


def test_right_granularity_passes() -> None:
    assert verdict("CosineAnnealingLR", 100.0, calls=3, T_max=30).status == "pass"
    assert verdict("CosineAnnealingLR", 1.0, T_max=3000).status == "pass"
    assert verdict("OneCycleLR", 1.0, total_steps=3000).status == "pass"
    assert verdict("StepLR", 100.0, calls=3, step_size=10, gamma=0.1).status == "pass"
    assert verdict("ExponentialLR", 1.0, gamma=0.999).status == "pass"


def test_designs_pass() -> None:
    assert verdict("CosineAnnealingLR", 1.0, T_max=100).status == "pass", "one cosine per epoch"
    assert verdict("CosineAnnealingWarmRestarts", 1.0, T_0=10).status == "pass"
    assert verdict("StepLR", 100.0, calls=3, step_size=50, gamma=0.1).status == "pass", "longer than this run"
    assert verdict("StepLR", 1.0, Plan(epochs=500, steps_per_epoch=1), step_size=5, gamma=0.1).status == "pass"


def test_plateau_per_batch_needs_a_fallen_rate() -> None:
    plateau = SchedulerInfo(0, "ReduceLROnPlateau", 0, None, LINE, {"patience": 5}, 300, 0, 0, 1.0)
    rates = [[0.1]] * 100 + [[0.01]] * 100 + [[0.001]] * 100
    run = run_of(SGD, replace(PLAN, steps_per_epoch=50), plateau, series={LEARNING_RATE: rates})
    assert verdict_of("P05", run).status == "fail"
    run = run_of(SGD, replace(PLAN, steps_per_epoch=50), plateau, series={LEARNING_RATE: [[0.1]] * 300})
    assert verdict_of("P05", run).status == "pass"


def test_never_called_in_several_epochs_warns() -> None:
    result = verdict("StepLR", None, replace(PLAN, steps_per_epoch=50), calls=0, step_size=5, gamma=0.1)
    assert [f.severity for f in result.findings] == ["warn"]


def test_unknown_lengths_are_inconclusive() -> None:
    assert verdict("CosineAnnealingLR", 1.0, Plan(steps_per_epoch=100), T_max=30).status == "inconclusive"
    assert verdict("CosineAnnealingLR", 1.0, Plan(epochs=30), T_max=30).status == "inconclusive"


def test_a_training_of_a_number_of_steps() -> None:
    """The loop over epochs is left by a count of steps: those are all that there will be."""
    steps = Plan(rounds=3000, steps_per_epoch=100)
    assert verdict("CosineAnnealingLR", 1.0, steps, T_max=3000).status == "pass"
    assert verdict("CosineAnnealingLR", 1.0, steps, T_max=30).status == "fail"
    assert verdict("LambdaLR", 1.0).status == "inconclusive"


def test_resumed_and_broken_off_passes_are_inconclusive() -> None:
    scheduler = SchedulerInfo(0, "CosineAnnealingLR", 0, None, LINE, {"T_max": 30}, 300, 0, 0, 1.0)
    resumed = replace(SGD, state_loaded=True)
    assert verdict_of("P05", run_of(resumed, PLAN, scheduler)).status == "inconclusive"
    loader = LoaderInfo(0, length=100, iterators=300, batches=300, used_in_training=True)
    assert verdict_of("P05", run_of(SGD, PLAN, scheduler, loader)).status == "inconclusive"


def test_without_a_scheduler_it_is_skipped() -> None:
    assert verdict_of("P05", run_of(SGD, PLAN)).status == "skipped"


def test_the_plan_of_one_training_of_a_script_says_nothing_of_another() -> None:
    scheduler = SchedulerInfo(0, "CosineAnnealingLR", 1, Location("train.py", 8), LINE, {"T_max": 120}, 120, 0, 0, 1.0)
    later = OptimizerInfo(1, "Adam", steps=120, created_at_step=300)
    judged = verdict_of("P05", run_of(SGD, later, PLAN, scheduler, steps=420))
    assert judged.status == "inconclusive"
    assert "several trainings" in judged.reason
    beside = verdict_of("P05", run_of(SGD, replace(later, created_at_step=0), PLAN, scheduler, steps=420))
    assert beside.status == "fail"
