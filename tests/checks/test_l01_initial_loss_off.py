"""L01 initial-loss-off: outputs too wide at the start, and losses whose chance value is not known."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossAxes
from flightcheck.recording.records import Location, LossCall, LossSite, ModuleInfo, ParameterInfo, Plan, RootInfo
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
