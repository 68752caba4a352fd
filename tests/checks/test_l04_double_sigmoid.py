"""L04 double-sigmoid: failing, passing and inconclusive runs, and real logits that happen to lie in [0, 1]."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(
    0, "binary_cross_entropy_with_logits", Location("train.py", 50), input_location=Location("train.py", 22)
)
CALL = LossCall(
    0, 0, True, [64], [64], [], "float32", "float32", 0.6, 0.2, 0.8, 0, 1,
    target_mean=0.25, input_op="SigmoidBackward0",
)  # fmt: skip


def calls(call: LossCall, n: int = 8) -> list[LossCall]:
    return [replace(call, step=i) for i in range(n)]


def test_sigmoid_before_logits_loss_fails() -> None:
    (finding,) = verdict_of("L04", run_of(SITE, *calls(CALL))).findings
    assert finding.location == SITE.input_location
    assert finding.evidence["floor"] == pytest.approx(0.25 * 0.3133 + 0.75 * 0.6931, abs=1e-3)


def test_the_line_of_the_sigmoid_module_is_named() -> None:
    net = ModuleInfo(0, "net", "Net", "container", 0, Location("train.py", 30), leaf=False, order=2)
    sigmoid = ModuleInfo(1, "net.act", "Sigmoid", "activation", 0, Location("train.py", 12), order=1)
    loss = ModuleInfo(2, "criterion", "BCEWithLogitsLoss", "other", 1, Location("train.py", 40), order=3)
    (finding,) = verdict_of("L04", run_of(SITE, net, sigmoid, loss, *calls(CALL))).findings
    assert finding.location == sigmoid.location
    assert finding.module == "net.act"


def test_softmax_before_logits_loss_fails() -> None:
    assert verdict_of("L04", run_of(SITE, *calls(replace(CALL, input_op="SoftmaxBackward0")))).status == "fail"


def test_small_positive_logits_pass() -> None:
    discriminator = replace(CALL, input_op="AddmmBackward0")
    assert verdict_of("L04", run_of(SITE, *calls(discriminator))).status == "pass"


def test_scaled_sigmoid_passes() -> None:
    scaled = replace(CALL, input_op="MulBackward0", input_min=-5.0, input_max=5.0)
    assert verdict_of("L04", run_of(SITE, *calls(scaled))).status == "pass"


def test_without_the_operation_it_is_inconclusive() -> None:
    assert verdict_of("L04", run_of(SITE, *calls(replace(CALL, input_op=""), 20))).status == ("inconclusive")


def test_one_call_is_inconclusive() -> None:
    assert verdict_of("L04", run_of(SITE, CALL)).status == "inconclusive"


def test_probability_loss_is_skipped() -> None:
    assert verdict_of("L04", run_of(replace(SITE, function="binary_cross_entropy"), *calls(CALL))).status == "skipped"


def test_a_sigmoid_of_a_sigmoid_before_bce_fails() -> None:
    site = LossSite(0, "binary_cross_entropy", Location("train.py", 40))
    call = LossCall(
        0, 0, True, [64], [64], [], "float32", "float32", 0.6, 0.5, 0.73, 0, 1, input_op="SigmoidBackward0",
        scores_op="SigmoidBackward0", target_mean=0.5,
    )  # fmt: skip
    (finding,) = verdict_of("L04", run_of(site, *[call] * 4)).findings
    assert "sigmoid of a sigmoid" in finding.message
    assert verdict_of("L04", run_of(site, *[replace(call, scores_op="AddmmBackward0")] * 4)).status == "skipped"
