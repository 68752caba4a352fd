"""P04 scheduler-order: a scheduler before its optimizer, against another one, or in the wrong mode."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Call, Location, OptimizerInfo, SchedulerInfo
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tallies import Tally
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
    (finding,) = verdict_of("P04", run_of(ADAM, plateau, *order)).findings
    assert finding.patch == "scheduler:off"
    rising = [Call(i, i, "scheduler_step", 0, data={"metric": 1 - m / 3}) for i, m in enumerate(losses)]
    assert verdict_of("P04", run_of(ADAM, plateau, *rising)).status == "pass"


def plateau_given(metrics: list[float], losses: list[float], mode: str = "min") -> Verdict:
    plateau = SchedulerInfo(0, "ReduceLROnPlateau", 0, LINE, LINE, {"mode": mode, "patience": 2}, calls=len(metrics))
    order = [Call(i, 10 * i, "scheduler_step", 0, data={"metric": m}) for i, m in enumerate(metrics)]
    return verdict_of("P04", run_of(ADAM, plateau, *order, series={LOSS: losses}))


def test_plateau_waits_for_a_smaller_accuracy() -> None:
    falling, rising = [0.7, 0.6, 0.5, 0.4], [0.4, 0.5, 0.6, 0.7]
    right = [n / 600 for n in (310, 342, 395, 460, 489)]
    verdict = plateau_given(right, falling)
    (finding,) = verdict.findings
    assert finding.location == LINE
    assert finding.patch == "scheduler:off"
    assert plateau_given([100 * r for r in right], falling).status == "fail"
    assert plateau_given(right, falling, "max").status == "pass"
    assert plateau_given(right, rising).status == "pass"  # errors grow with the loss
    assert plateau_given([1 - r for r in right], falling).status == "pass"
    assert plateau_given([r / 3 for r in right], falling).status == "pass"  # may be a share of errors


def test_growing_validation_loss_is_no_accuracy() -> None:
    overfitting = [0.5162131, 0.5701733, 0.6583221, 0.7662419, 0.8151127]
    assert plateau_given(overfitting, [0.7, 0.5, 0.3, 0.1]).status == "pass"


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


def test_a_loss_in_the_place_of_the_number_of_the_epoch() -> None:
    warm_up = SchedulerInfo(0, "LambdaLR", 0, LINE, LINE, calls=6)
    given = [2.3, 1.9, 1.4, 1.0, 1.1, 0.6]
    order = [Call(i, i, "scheduler_step", 0, data={"epoch": g}) for i, g in enumerate(given)]
    (finding,) = verdict_of("P04", run_of(ADAM, warm_up, *order)).findings
    assert (finding.location, finding.patch) == (LINE, "scheduler:off")
    assert (
        verdict_of("P04", run_of(ADAM, replace(warm_up, type="CosineAnnealingWarmRestarts"), *order)).status == "pass"
    )
    epochs = [Call(i, i, "scheduler_step", 0, data={"epoch": i / 2}) for i in range(6)]
    assert verdict_of("P04", run_of(ADAM, warm_up, *epochs)).status == "pass"


def test_the_number_of_the_epoch_in_the_place_of_a_metric() -> None:
    verdict = plateau_given([0.0, 1.0, 2.0, 3.0, 4.0], [0.7, 0.6, 0.5, 0.4])
    (finding,) = verdict.findings
    assert "number of the epoch" in finding.message
    assert plateau_given([5.0, 5.0, 4.0, 3.0, 3.0], [0.7, 0.6, 0.5, 0.4]).status == "pass"


def given_what_was_counted(metrics: list[float], mode: str = "min", equal: bool = True) -> Verdict:
    """A scheduler that is given these numbers, in evaluations in which 4, 5 and 6 of 8 answers were counted."""
    plateau = SchedulerInfo(0, "ReduceLROnPlateau", 0, LINE, LINE, {"mode": mode}, calls=len(metrics))
    order = [Call(i, i, "scheduler_step", 0, data={"metric": m}) for i, m in enumerate(metrics)]
    tallies = [Tally(i, LINE, true=[3, 1 + i], counted=[4, 4], equal=equal) for i in range(3)]
    return verdict_of("P04", run_of(ADAM, plateau, *order, *tallies))


def test_plateau_is_given_the_share_of_right_answers() -> None:
    for metrics in ([0.5, 0.625, 0.75], [50.0, 62.5, 75.0], [0.5, 0.625, 0.75, 0.1]):
        (finding,) = given_what_was_counted(metrics).findings
        assert "share of answers that equal their label" in finding.message


def test_other_numbers_and_shares_of_wrong_answers_pass() -> None:
    assert given_what_was_counted([0.5, 0.375, 0.25]).status == "pass"
    assert given_what_was_counted([0.5, 0.625, 0.75], mode="max").status == "pass"
    assert given_what_was_counted([0.5, 0.625, 0.75], equal=False).status == "pass"
