"""P02 lr-too-low: ten times the rate achieves five times as much, in each seed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.parameters.p02_lr_too_low import rises_to_the_end
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, OptimizerInfo, Plan, SchedulerInfo
from flightcheck.recording.signals import LEARNING_RATE, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import OPTIMIZER, network

LINE = Location("train.py", 12)


def tried(factor: str = "x10", status: Any = "confirmed", **changes: Any) -> Experiment:
    values = {"metric": "error", "before": 2.28, "after": 1.1, "start": 2.3, "seeds": 3, "steps": 80, "low": 1.0}
    return Experiment("P02", f"lr:{factor}", status=status, **{**values, **changes})


def verdict(*experiments: Experiment, regimes: tuple[str, ...] = ()) -> Verdict:
    optimizer = OptimizerInfo(0, "SGD", LINE, groups=[{"lr": 1e-5}], steps=80)
    return verdict_of("P02", run_of(optimizer, Plan(regimes=list(regimes)), *experiments))


def test_ten_times_the_rate_achieves_much_more() -> None:
    result = verdict(tried())
    assert result.status == "fail"
    (finding,) = result.findings
    assert (finding.location, finding.severity, finding.patch) == (LINE, None, "lr:x10")
    assert finding.fix == "Try lr=0.0001."
    assert (
        "falls from 2.3 to 2.28; with 10 times the learning rate it falls to 1.1, in each of 3 seeds" in finding.message
    )


def test_two_trainings_in_one_script_have_no_scale() -> None:
    first = OptimizerInfo(0, "AdamW", LINE, groups=[{"lr": 3e-3}], steps=120)
    for created, status in ((120, "skipped"), (0, "fail")):
        second = OptimizerInfo(1, "AdamW", LINE, groups=[{"lr": 4e-3}], steps=160, created_at_step=created)
        assert verdict_of("P02", run_of(first, second, tried())).status == status


def test_a_hundred_times() -> None:
    (finding,) = verdict(tried(status="inconclusive"), tried("x100")).findings
    assert finding.evidence["factor"] == 100
    assert finding.fix == "Try lr=0.001."


@pytest.mark.parametrize("status", ["refuted", "inconclusive"])
def test_not_better_or_not_surely(status: str) -> None:
    assert verdict(tried(status=status)).status == "pass"


def test_not_tried() -> None:
    assert verdict().status == "inconclusive"
    late = Experiment("P02", "lr:x10", reason="the time for experiments was used up")
    assert verdict(late).status == "inconclusive"
    assert "used up" in verdict(late).reason


def test_fine_tuning_is_told_as_a_note() -> None:
    (finding,) = verdict(tried(), regimes=("finetune",)).findings
    assert finding.severity == "info"


def standing(update: float, *more: Any, rates: Any = None, **info: Any) -> Verdict:
    """Of an agent in 80 steps: every matrix has the size 1, and its updates this one."""
    series = {
        UPDATE_NORM: [[update] * 3] * 80,
        WEIGHT_NORM: [[1.0] * 3] * 80,
        LEARNING_RATE: np.full(80, 1e-5) if rates is None else rates,
    }
    regime = () if any(isinstance(m, Plan) for m in more) else (Plan(regimes=["reinforcement"]),)
    return verdict_of("P02", run_of(*network(3, optimizer=OPTIMIZER), *regime, *more, series=series, **info))


def test_weights_that_cannot_leave_their_start_fail_where_no_loss_tells() -> None:
    (finding,) = standing(1e-4, ended="finished", steps=80).findings
    assert finding.evidence["share"] == pytest.approx(0.008)
    assert finding.patch == "lr:x100"
    planned = Plan(regimes=["gan"], rounds=150)
    assert standing(1e-4, planned, ended="stopped", steps=80).status == "fail"


def test_weights_that_move_pass_where_no_loss_tells() -> None:
    assert standing(1e-3, ended="finished", steps=80).status == "pass"
    assert standing(1e-4, Plan(regimes=["gan"], rounds=9000), ended="stopped", steps=80).status == "pass"


def test_a_plan_that_is_not_known_or_a_rate_that_rises_says_nothing() -> None:
    assert standing(1e-4, ended="stopped", steps=80).status == "inconclusive"
    assert standing(1e-4, rates=np.linspace(0, 1e-5, 80), ended="finished", steps=80).status == "inconclusive"
    assert standing(1e-4, ended="finished", steps=20).status == "inconclusive"


@pytest.mark.parametrize(
    ("plan", "severity"),
    [
        (Plan(rounds=900), "info"),
        (Plan(rounds=700), None),
        (Plan(epochs=40), "info"),
        (Plan(epochs=10), None),
        (Plan(epochs=40, steps_per_epoch=15), None),
        (Plan(), None),
    ],
)
def test_enough_planned_steps_make_it_a_note(plan: Plan, severity: str | None) -> None:
    optimizer = OptimizerInfo(0, "SGD", LINE, groups=[{"lr": 1e-3}], steps=80)
    evaluations = [Evaluation(step, 0, 1, LINE) for step in (60, 120, 180)]
    (finding,) = verdict_of("P02", run_of(optimizer, plan, *evaluations, tried())).findings
    assert finding.severity == severity
    assert ("planned steps are enough" in finding.message) == (severity == "info")


@pytest.mark.parametrize(
    ("metric", "after", "status"), [("loss", -6.0, "skipped"), ("loss", 0.4, "fail"), ("error", 0.4, "fail")]
)
def test_losses_below_zero_have_no_scale(metric: str, after: float, status: str) -> None:
    assert verdict(tried(metric=metric, after=after, afters=[after] * 3)).status == status


def test_who_is_on_the_way_and_arrives_as_planned_is_told_in_passing() -> None:
    """300 of 522 planned steps were watched, and the loss went from 0.69 to 0.3: the rest is enough for 0.26."""
    optimizer = OptimizerInfo(0, "Adam", LINE, groups=[{"lr": 3e-3}], steps=300)
    better = tried(before=0.616, after=0.256, start=0.679)
    for end, severity in ((0.3, "info"), (0.66, None)):
        falls = [0.69 - (0.69 - end) * i / 299 for i in range(300)]
        run = run_of(optimizer, Plan(rounds=522), better, series={LOSS: falls}, steps=300)
        (finding,) = verdict_of("P02", run).findings
        assert finding.severity == severity


@pytest.mark.parametrize(("planned", "rising"), [(500, True), (5000, False), (None, False)])
def test_a_warm_up_that_lasts_for_much_of_the_training(planned: int | None, rising: bool) -> None:
    optimizer = OptimizerInfo(0, "Adam", LINE, groups=[{"lr": 1.0}], steps=300)
    schedule = SchedulerInfo(0, "LambdaLR", 0, Location("train.py", 20))
    rates = [[1e-6 * (i + 1)] for i in range(300)]
    run = run_of(optimizer, schedule, Plan(rounds=planned), tried(steps=300), series={LEARNING_RATE: rates}, steps=300)
    assert rises_to_the_end(run) == rising
    (finding,) = verdict_of("P02", run).findings
    assert (finding.location == schedule.location) == rising
    assert ("still rising after 300 steps" in finding.message) == rising


def test_a_warm_up_that_is_over_is_none() -> None:
    rates = [[min(i + 1, 200) * 1e-6] for i in range(300)]
    run = run_of(Plan(rounds=500), series={LEARNING_RATE: rates}, steps=300)
    assert not rises_to_the_end(run)


def test_who_gets_as_far_as_a_short_trial_is_told_where_the_larger_rate_is_far_ahead_at_the_planned_end() -> None:
    optimizer = OptimizerInfo(0, "SGD", LINE, groups=[{"lr": 1e-5}], steps=300)
    losses = {LOSS: [float(v) for v in np.linspace(2.3, 0.5, 300)]}

    def told(*experiments: Experiment) -> Any:
        (finding,) = verdict_of("P02", run_of(optimizer, Plan(rounds=1000), *experiments, series=losses)).findings
        return finding

    assert told(tried()).severity == "info", "a thousand steps are as far as eighty of ten times the size"
    finding = told(tried(), tried(steps=1000, before=0.4, after=0.05))
    assert finding.severity is None and "In 1000 steps" in finding.message
    assert told(tried(), tried(status="inconclusive", steps=1000)).severity == "info"
