"""Questions that the training error cannot answer: the planned end, evaluations, the script's own numbers."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.checks.parameters.p13_weight_decay_misapplied import WITHOUT
from flightcheck.lab.agenda import investigate
from flightcheck.lab.experiments import Lab
from flightcheck.lab.metrics import steps_until_told
from flightcheck.lab.trials import Trained, Trial
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.printed import PrintedNumber
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, LOSS, WEIGHT_NORM
from flightcheck.testing import run_of
from tests.lab.test_classes_alike import UNEVEN
from tests.lab.test_experiments import Numbers, candidate, questions, watched


def asked(code: str, runner: Numbers, run: Run) -> list[Experiment]:
    return [e for e in investigate(Lab(runner, 60.0), run, []) if e.question == code]


def with_plan(run: Run, plan: Plan) -> Run:
    run.records["Plan"] = [plan]
    run.frames.update(run_of(series={LEARNING_RATE: [0.1] * 60}).frames)
    return run


class ToTheEnd(Numbers):
    """Ten times the rate is far ahead after 80 steps; at the planned end the own rate stands at `end`, and it there."""

    def __init__(self, end: float, faster: float) -> None:
        super().__init__({"lr:x10": 0.5}, control=2.25)
        self.at_the_end = end, faster

    def _one(self, trial: Trial) -> Trained:
        if trial.steps == 1000:
            self.control, self.ends["lr:x10"] = self.at_the_end
        return super()._one(trial)


@pytest.mark.parametrize(
    ("end", "faster", "status"),
    [(1.2, 0.1, "confirmed"), (1.2, 0.9, "inconclusive"), (0.2, 0.01, "inconclusive")],
    ids=["far behind", "a plateau that it leaves late", "little is left"],
)
def test_a_larger_rate_is_tried_up_to_the_planned_end(end: float, faster: float, status: str) -> None:
    found = asked("P02", ToTheEnd(end, faster), with_plan(watched(), Plan(rounds=1000)))
    assert [(e.steps, e.status) for e in found] == [(80, "confirmed"), (1000, status)]
    for rounds in (500, 5000):  # it does not get as far as 80 larger steps; too many for a trial
        (alone,) = asked("P02", ToTheEnd(end, faster), with_plan(watched(), Plan(rounds=rounds)))
        assert (alone.steps, alone.status) == (80, "confirmed")


@pytest.mark.parametrize(("end", "status"), [(0.3, "confirmed"), (0.8, "inconclusive")])
def test_more_rounds_where_the_end_is_no_better_than_a_constant_guess(end: float, status: str) -> None:
    """The start is far off, as of targets that are not centred: so most of the way is gone, and nothing is learnt."""
    runner = Numbers({"source:longer@8:train.py:20": end}, control=1.2)
    plan = Plan(counting_loop=Location("train.py", 20), counted=5)

    def told(*more: Any) -> str:
        run = run_of(
            plan, OptimizerInfo(0, "SGD", None, groups=[{"lr": 0.1}], steps=60), *more,
            series={LOSS: [2.3] * 60, LEARNING_RATE: [0.1] * 60}, ended="finished", steps=60,
        )  # fmt: skip
        (more_rounds,) = asked("P36", runner, run)
        return more_rounds.status

    calls = [
        LossCall(0, i, True, [64], [64], [], "float32", "float32", 2.3, -4, 3, -2, 2, target_std=1.0) for i in range(60)
    ]
    assert told(LossSite(0, "mse_loss", Location("train.py", 9)), *calls) == status
    assert told() == "inconclusive", "no constant guess is known"


def test_decay_in_balance_with_the_gradient_is_judged_by_evaluations() -> None:
    groups = [{"lr": 0.1, "weight_decay": 0.5, "parameters": 1}]
    weight = ParameterInfo(0, "model.weight", 0, [32, 32], "matrix", optimizers=[0], numel=1024)
    norms = {WEIGHT_NORM: [[5.0]] * 60, GRAD_NORM: [[2.6]] * 60}

    def told(without: float, norms: dict[Any, Any]) -> list[Experiment]:
        runner = Numbers()
        runner.more = lambda trial: [
            Evaluation(i, 0, 1, None, losses=1, loss_value=(without if trial.patches else 0.4) + 0.001 * trial.seed)
            for i in range(6)
        ]
        run = run_of(
            OptimizerInfo(0, "Adam", None, groups, [0], steps=60), weight,
            series={LOSS: [2.3] * 60, LEARNING_RATE: [0.1] * 60, **norms},
        )  # fmt: skip
        return asked("P13", runner, run)

    (e,) = told(0.04, norms)
    assert (e.status, e.patch, e.metric) == ("confirmed", WITHOUT, "evaluation")
    assert [e.status for e in told(0.3, norms)] == ["inconclusive"], "a quarter is the usual price of a decay"
    assert told(0.04, {**norms, GRAD_NORM: [[50.0]] * 60}) == []


def test_a_decay_of_adamw_in_adam_is_not_judged_by_a_loss() -> None:
    """Decay keeps a held-out loss up by answers that are less sure, and no fewer of them are right."""
    groups = [{"lr": 0.1, "weight_decay": 0.1, "parameters": 1}]
    weight = ParameterInfo(0, "model.weight", 0, [32, 32], "matrix", optimizers=[0], numel=1024)
    series = {LOSS: [2.3] * 60, LEARNING_RATE: [0.1] * 60, WEIGHT_NORM: [[5.0]] * 60, GRAD_NORM: [[50.0]] * 60}
    run = run_of(OptimizerInfo(0, "Adam", None, groups, [0], steps=60), weight, series=series)
    runner = Numbers()

    def evaluated(trial: Trial) -> list[Any]:
        loss = (0.04 if trial.patches else 0.4) + 0.001 * trial.seed
        return [Evaluation(i, 0, 1, None, losses=1, loss_value=loss) for i in range(6)]

    runner.more = evaluated
    assert [e.status for e in asked("P13", runner, run)] == ["untested"]
    runner.more = lambda trial: [
        PrintedNumber(i, "test accuracy", (0.97 if trial.patches else 0.8) + 0.001 * trial.seed, True) for i in range(6)
    ]
    (e,) = asked("P13", runner, run)
    assert (e.status, e.measure) == ("confirmed", "test accuracy")


def test_a_number_that_is_printed_at_the_end_only_is_waited_for() -> None:
    runner = Numbers()
    runner.more = lambda trial: [PrintedNumber(i, "balanced accuracy", 0.5, True) for i in range(3)]
    for plan, steps in ((Plan(rounds=900), 901), (Plan(rounds=90_000), 300), (Plan(), 300)):
        run = with_plan(watched(extra=[*UNEVEN, PrintedNumber(40, "balanced accuracy", 0.5, True)]), plan)
        (e,) = asked("D10", runner, run)
        assert e.steps == steps


def test_a_fact_that_the_error_refutes_is_asked_by_the_script_s_number() -> None:
    def told(better: float, name: str) -> Experiment:
        runner = Numbers({"drop-module:sigmoid": 2.3})
        runner.more = lambda trial: [
            PrintedNumber(i, name, (0.1 + better if trial.patches else 0.1) + 0.001 * trial.seed, True)
            for i in range(6)
        ]
        run = watched(extra=[MetricInfo(0, name.replace(" ", "_"), "printed", 6, 30, 300)])
        return questions(runner, candidate("L03", "drop-module:sigmoid"), run=run)[-1]

    told_by_number = told(0.6, "test iou")
    assert (told_by_number.status, told_by_number.metric) == ("confirmed", "printed test iou")
    assert told(0.0, "test iou").status == told(0.6, "train loss").status == "refuted"


@pytest.mark.parametrize("patch", ["keep-graph:train.py:56", "step:1"])
def test_the_error_of_several_losses_refutes_no_model_that_learns(patch: str) -> None:
    both = [LossSite(i, "mse_loss", Location("train.py", 9 + i), train_calls=60) for i in range(2)]
    for sites, status in ((both, "inconclusive"), (both[:1], "refuted")):
        run = watched(extra=[*sites, RootInfo(0, "maker", "Maker"), RootInfo(1, "critic", "Critic")])
        e = questions(Numbers({patch: 2.3}), candidate("L03", patch), run=run)[-1]
        assert e.status == status


def test_a_metric_is_tried_until_its_number_is_printed() -> None:
    def until(name: str, first: int) -> int:
        told = MetricInfo(0, name, "printed", 7, first, first + 900)
        return steps_until_told(watched(extra=[told, Evaluation(first - 1, 0, 1, None)]))

    assert (until("acc", 315), until("test_loss", 90_000), until("loss", 9)) == (317, 4000, 0)
    assert steps_until_told(watched()) == 0
