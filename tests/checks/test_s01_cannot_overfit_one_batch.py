"""S01 cannot-overfit-one-batch: neither with the script's optimizer nor with Adam."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LinearStack, LossCall, LossSite, TargetShift
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import CROSS_ENTROPY
from tests.checks._experiments import fit, untested

LINE = Location("train.py", 30)


def verdict(*experiments: Experiment, regimes: tuple[str, ...] = ()) -> Verdict:
    return verdict_of("S01", run_of(Plan(loss_location=LINE, regimes=list(regimes)), *experiments))


def test_both_optimizers_fail() -> None:
    result = verdict(fit(0.6), fit(0.3, "Adam(0.003)"))
    assert result.status == "fail"
    (finding,) = result.findings
    assert finding.location == LINE
    assert finding.evidence == {"left": [0.6, 0.3], "steps": 400}
    assert "After 400 steps on the same 8 examples 30 % of the start error is left (limit 5 %)" in finding.message


@pytest.mark.parametrize("fits", [[fit(0.05)], [fit(0.01)], [fit(0.8), fit(0.02, "Adam(0.003)")]])
def test_it_can(fits: list[Experiment]) -> None:
    assert verdict(*fits).status == "pass"


def test_the_first_tokens_of_a_sequence_cannot_be_known() -> None:
    def of_tokens(left: float) -> str:
        fits = (fit(left), fit(left, "Adam(0.003)"))
        return verdict_of("S01", run_of(Plan(loss_location=LINE), TargetShift(0, 0, 1, 300, 1.0), *fits)).status

    assert (of_tokens(0.1), of_tokens(0.3)) == ("pass", "fail")


def test_a_second_optimizer_is_needed() -> None:
    assert verdict(fit(0.6)).status == "inconclusive"
    failed = untested("S01", "freeze-batch:8 + regularization:off + optimizer:Adam(0.003)", "no time")
    assert verdict(fit(0.6), failed).status == "inconclusive"


def test_not_tried() -> None:
    assert verdict().status == "inconclusive"
    told = verdict(untested("S01", "freeze-batch:8", "the batch could not be frozen"))
    assert told.status == "inconclusive"
    assert "the batch could not be frozen" in told.reason


@pytest.mark.parametrize("regime", ["gan", "reinforcement"])
def test_losses_of_players_are_no_measure_of_a_fit(regime: str) -> None:
    assert verdict(fit(0.6), fit(0.3, "Adam(0.003)"), regimes=(regime,)).status == "skipped"


@pytest.mark.parametrize(("rest", "status"), [(0.0, "fail"), (0.7, "skipped")])
def test_a_loss_with_further_terms_is_not_judged(rest: float, status: str) -> None:
    calls = [replace(CROSS_ENTROPY, step=i, value=2.0 - 0.1 * i) for i in range(5)]
    series = {LOSS: [2.0 - 0.1 * i + rest * i for i in range(5)]}
    run = run_of(Plan(loss_location=LINE), *calls, fit(0.6), fit(0.3, "Adam(0.003)"), series=series)
    assert verdict_of("S01", run).status == status


@pytest.mark.parametrize(
    ("record", "status"),
    [
        (OptimizerInfo(0, "Adam", steps=90), "fail"),
        (OptimizerInfo(1, "Adam", steps=90, created_at_step=200), "skipped"),
        (ParameterInfo(0, "body.weight", 0, [8, 8], "matrix"), "fail"),
        (ParameterInfo(0, "body.weight", 0, [8, 8], "matrix", requires_grad=False), "skipped"),
    ],
)
def test_trainings_in_parts_are_not_judged(record: OptimizerInfo | ParameterInfo, status: str) -> None:
    run = run_of(Plan(loss_location=LINE), record, fit(0.6), fit(0.3, "Adam(0.003)"))
    assert verdict_of("S01", run).status == status


def test_one_linear_layer_may_be_too_little() -> None:
    fits = fit(0.6), fit(0.3, "Adam(0.003)")
    assert verdict_of("S01", run_of(*fits, LinearStack(0, [0], [1], [60], [4], LINE))).status == "skipped"
    assert verdict_of("S01", run_of(*fits, LinearStack(0, [0, 1], [1, 2], [60, 8], [8, 4], LINE))).status == "fail"


def test_in_batch_negatives_are_not_judged() -> None:
    calls = [
        replace(CROSS_ENTROPY, step=i, input_shape=[64, 64], classes=64, target_distinct=64, target_shape=[64])
        for i in range(3)
    ]
    run = run_of(Plan(loss_location=LINE), *calls, fit(0.6), fit(0.3, "Adam(0.003)"))
    assert verdict_of("S01", run).status == "skipped"


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"start": -1.0, "after": -5.0, "before": -5.0}, "skipped"),
        ({"start": 0.01, "after": 0.04, "before": 0.01}, "inconclusive"),
        ({"start": 0.01, "after": 0.04, "before": 0.01, "metric": "loss"}, "inconclusive"),
        ({"start": 2.0, "after": 1.5, "before": 0.2}, "inconclusive"),
        ({"start": 2.0, "after": 1.5, "before": 1.9}, "fail"),
    ],
    ids=["below zero", "trained before", "it rises", "fresh examples are easier", "neither is learnt"],
)
def test_where_the_start_is_no_measure(changes: dict[str, Any], status: str) -> None:
    fits = [replace(f, **{"metric": "error", **changes}) for f in (fit(0.6), fit(0.3, "Adam(0.003)"))]
    assert verdict(*fits).status == status


def test_the_first_positions_of_a_series_cannot_be_known() -> None:
    """A recurrent layer answers each position from what came before."""
    call = LossCall(
        0, 0, True, [8, 25], [8, 25], [], "float32", "float32", 1.0, -1.0, 1.0, -1.0, 1.0, target_mean=0.0, target_std=0.6,
    )  # fmt: skip

    def of_series(left: float, kind: str) -> str:
        layer = ModuleInfo(0, "gru", kind.upper(), kind, 0)
        fits = (fit(left), fit(left, "Adam(0.003)"))
        return verdict_of(
            "S01", run_of(Plan(loss_location=LINE), layer, LossSite(0, "mse_loss", LINE), call, *fits)
        ).status

    assert of_series(0.13, "rnn") == "pass"
    assert of_series(0.13, "linear") == "fail"
    assert of_series(0.13, "linear") == "fail"
    assert of_series(0.55, "rnn") == "fail"


def test_bigrams_are_too_little_for_eight_sequences() -> None:
    """An embedding looks up the next token's scores, whatever came before; a head behind it changes nothing of that."""

    def status(*roles: str) -> str:
        parameters = [ParameterInfo(i, str(i), 0, [9, 9], role, optimizers=[0]) for i, role in enumerate(roles)]
        optimizer = OptimizerInfo(0, "AdamW", LINE, steps=300)
        fits = (fit(0.3), fit(0.3, "Adam(0.003)"))
        return verdict_of("S01", run_of(Plan(loss_location=LINE), optimizer, *parameters, *fits)).status

    assert status("embedding") == "skipped"
    assert status("embedding", "embedding", "matrix", "bias") == "skipped"
    assert status("embedding", "matrix", "matrix") == "fail"
    assert status("matrix") == "fail"
