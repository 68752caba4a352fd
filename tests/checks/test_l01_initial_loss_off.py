"""L01 initial-loss-off: outputs too wide at the start, and losses whose chance value is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossAxes, LossCall, LossSite
from flightcheck.recording.records import Location, ModuleInfo, ParameterInfo, Plan, RootInfo
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

INIT, LINE = Location("train.py", 12), Location("train.py", 50)
SITE = LossSite(0, "cross_entropy", LINE)
CALL = LossCall(
    0, 0, True, [32, 10], [32], [], "float32", "int64", 7.5, -20, 20, 0, 9, input_op="AddmmBackward0", classes=10,
    input_std=6.0,
)  # fmt: skip
HEAD = ModuleInfo(0, "model.head", "Linear", "linear", 0, Location("train.py", 8), order=0)
WEIGHT = ParameterInfo(0, "model.head.weight", 0, [10, 64], "matrix", numel=640, write_location=INIT)


def judge(call: LossCall = CALL, *more: Any, site: LossSite = SITE, norm: float = 25.0) -> Verdict:
    calls = [replace(call, step=i, value=(call.value or 0) if i == 0 else 2.0) for i in range(3)]
    return verdict_of("L01", run_of(site, HEAD, WEIGHT, *calls, *more, series={WEIGHT_NORM: [[norm]]}))


def test_wide_outputs_warn_at_the_initialization() -> None:
    (finding,) = judge().findings
    assert (finding.location, finding.module) == (INIT, "model.head")


def test_usual_weights_behind_wide_outputs_warn_at_the_loss() -> None:
    (finding,) = judge(norm=2.0).findings
    assert finding.location == LINE


@pytest.mark.parametrize(
    ("start", "end", "norm", "severity"),
    [
        (7.5, 0.4, 2.0, "info"), (7.5, 2.0, 2.0, None), (12.5, 0.4, 2.0, None), (7.5, 0.4, 25.0, None),
    ],
    ids=["got over it", "did not", "far off", "a layer that is too wide"],
)  # fmt: skip
def test_a_start_that_was_not_far_off_and_that_training_got_over_is_information(
    start: float, end: float, norm: float, severity: str | None
) -> None:
    calls = [replace(CALL, step=i, value=start if i == 0 else end) for i in range(30)]
    verdict = verdict_of("L01", run_of(SITE, HEAD, WEIGHT, *calls, series={WEIGHT_NORM: [[norm]]}))
    assert [f.severity for f in verdict.findings] == [severity]
    few = verdict_of("L01", run_of(SITE, HEAD, WEIGHT, *calls[:9], series={WEIGHT_NORM: [[norm]]}))
    assert [f.severity for f in few.findings] == [None]


def test_binary_cross_entropy_warns() -> None:
    call = replace(CALL, target_dtype="float32", target_max=1.0, target_shape=[32, 10])
    assert judge(call, site=replace(SITE, function="binary_cross_entropy_with_logits")).status == "fail"


@pytest.mark.parametrize("value", [2.303, 2.9, 3.7])
def test_loss_near_chance_passes(value: float) -> None:
    assert judge(replace(CALL, value=value)).status == "pass"


def test_log_probabilities_of_a_layer_are_looked_at() -> None:
    axes = LossAxes(0, 0, "same", [32, 10], "linear", [32, 10], 10)
    call = replace(CALL, input_op="LogSoftmaxBackward0")
    assert judge(call, axes, site=replace(SITE, function="nll_loss")).status == "fail"


@pytest.mark.parametrize(
    "verdict",
    [
        judge(replace(CALL, input_op="MulBackward0")),  # similarities over a temperature
        judge(site=replace(SITE, settings={"weighted": True})),
        judge(site=replace(SITE, settings={"reduction": "sum"})),
        judge(replace(CALL, target_dtype="float32")),
        judge(CALL, RootInfo(0, "model", "Net", loaded=True)),
        judge(CALL, Plan(regimes=["reinforcement"])),
        verdict_of("L01", run_of()),
    ],
)
def test_unknown_chance_is_skipped(verdict: Verdict) -> None:
    assert verdict.status == "skipped"


def test_first_step_not_seen_is_inconclusive() -> None:
    assert verdict_of("L01", run_of(SITE, replace(CALL, step=30))).status == "inconclusive"


SQUARED = LossSite(0, "mse_loss", LINE, settings={"reduction": "mean"})
FAR = LossCall(
    0, 0, True, [32, 1], [32, 1], [], "float32", "float32", 2500.0, 49, 51, -2, 2, input_op="AddmmBackward0",
    input_module="model", input_module_type="Net", input_std=0.5, target_mean=0.0, target_std=1.0,
)  # fmt: skip
BIAS = ParameterInfo(1, "model.head.bias", 0, [1], "bias", numel=1, write_location=INIT)


def numbers(values: list[float], site: LossSite = SQUARED, call: LossCall = FAR, *more: Any) -> Verdict:
    calls = [replace(call, step=i, value=v) for i, v in enumerate(values)]
    return verdict_of("L01", run_of(site, HEAD, WEIGHT, BIAS, *calls, *more))


def test_a_bias_far_from_all_targets_warns_at_the_line_that_wrote_it() -> None:
    (finding,) = numbers([2500.0, 2400.0, 2300.0]).findings
    assert finding.location == INIT
    assert finding.evidence["offset"] == pytest.approx(50, rel=0.01)
    absolute = replace(SQUARED, function="l1_loss")
    (finding,) = numbers([50.0, 49.0, 48.0], absolute).findings
    assert finding.evidence["offset"] == pytest.approx(48.5)


@pytest.mark.parametrize(
    ("values", "call"),
    [
        ([1.3, 1.1, 0.9], replace(FAR, input_min=-1, input_max=1)),
        ([2500.0, 600.0, 0.2, 0.2, 0.2, 0.2], FAR),  # training got over it
        ([9.0, 8.9, 8.8], replace(FAR, input_std=2.5)),
        ([1e-4, 0.9e-4, 0.8e-4], replace(FAR, input_std=0.0, target_std=0.01)),  # small targets, a head of zeros
        ([1.0, 1.0, 1.0], replace(FAR, input_std=0.0)),
        ([4e4, 3.9e4, 3.8e4], replace(FAR, target_mean=200.0, target_std=10.0)),  # large targets: D18
        ([900.0, 890.0, 880.0], replace(FAR, input_std=30.0)),  # wide and not off: some predictions are right
    ],
    ids=["usual", "got over it", "a little", "small targets", "zeros", "large targets", "wide"],
)  # fmt: skip
def test_usual_starts_of_regressions_pass(values: list[float], call: LossCall) -> None:
    assert numbers(values, SQUARED, call).status == "pass"


def test_weights_far_wider_than_usual_warn_where_predictions_spread_far_wider_than_the_targets() -> None:
    wide = replace(FAR, input_std=50.0, input_op="CatBackward0")

    def told(norm: float, values: list[float], call: LossCall = wide) -> Verdict:
        calls = [replace(call, step=i, value=v) for i, v in enumerate(values)]
        return verdict_of("L01", run_of(SQUARED, HEAD, WEIGHT, BIAS, *calls, series={WEIGHT_NORM: [[norm]]}))

    (finding,) = told(25.0, [2500.0, 300.0, 150.0]).findings
    assert (finding.location, finding.patch) == (INIT, "reinit:default")
    assert "spread 7.91 times as wide as 1/√fan-in" in finding.message
    for fine in (
        told(3.0, [2500.0, 300.0, 150.0]),  # usual weights: the inputs, then
        told(25.0, [2500.0, 300.0, 0.2, 0.2, 0.2, 0.2]),  # training got over it
        told(25.0, [9.0, 8.0, 7.0]),
        told(25.0, [2500.0, 300.0, 150.0], replace(wide, input_std=2.0)),
    ):
        assert not fine.findings


def test_regressions_whose_prediction_is_no_layer_or_no_mean_are_skipped() -> None:
    assert numbers([2500.0, 2400.0], SQUARED, replace(FAR, input_op="MulBackward0")).status == "skipped"
    assert numbers([2500.0, 2400.0], replace(SQUARED, settings={"reduction": "sum"})).status == "skipped"
    assert numbers([2500.0, 2400.0], SQUARED, FAR, Plan(regimes=["diffusion"])).status == "skipped"


FACTORS = [
    RootInfo(1, "Factors", "Factors"),
    ModuleInfo(5, "Factors", "Factors", "container", 1, leaf=False),
    ModuleInfo(6, "Factors.user", "Embedding", "embedding", 1, Location("train.py", 30), order=1),
    ModuleInfo(7, "Factors.item", "Embedding", "embedding", 1, Location("train.py", 31), order=2),
    ModuleInfo(8, "Factors.bias", "Embedding", "embedding", 1, Location("train.py", 32), order=3),
    ParameterInfo(0, "Factors.user.weight", 6, [100, 64], "embedding", numel=6400),
    ParameterInfo(1, "Factors.item.weight", 7, [400, 64], "embedding", numel=25600),
    ParameterInfo(2, "Factors.bias.weight", 8, [400, 1], "embedding", numel=400),
]
PRODUCTS = replace(
    CALL, input_op="AddBackward0", input_module="Factors", input_module_type="Factors", target_dtype="float32",
    target_max=1.0, value=3.4,
)  # fmt: skip


def of_tables(length: float, late: float, *more: Any, calls: int = 30) -> Verdict:
    site = replace(SITE, function="binary_cross_entropy_with_logits")
    made = [replace(PRODUCTS, step=i, value=3.4 if i == 0 else late) for i in range(calls)]
    norms = [[8.0 * 10, length * 20, 300.0]]
    if length < 8:
        norms[0][0] = 10.0
    return verdict_of("L01", run_of(site, *FACTORS, *more, *made, series={WEIGHT_NORM: norms}))


def test_products_of_tables_with_long_rows_warn_at_the_longest() -> None:
    (finding,) = of_tables(9.0, 2.5).findings
    assert finding.location == Location("train.py", 31)
    assert "Factors.user, Factors.item" in finding.message
    assert finding.evidence["length"] == pytest.approx(9.0)
    assert finding.patch == "reinit:tables"


def test_tables_that_are_right_or_got_over_it_pass() -> None:
    assert of_tables(9.0, 0.5).status == "pass", "the training got better than chance"
    assert of_tables(9.0, 2.5, calls=10).status == "pass", "it is still the start"
    assert of_tables(1.0, 2.5).status == "skipped", "short rows: something else"
    layer = [
        ModuleInfo(9, "Factors.out", "Linear", "linear", 1, order=4),
        ParameterInfo(3, "Factors.out.weight", 9, [1, 64], "matrix", numel=64),
    ]
    assert of_tables(9.0, 2.5, *layer).status == "skipped", "scores that a layer may have scaled"
