"""L12 loss-task-mismatch: each row of the table, and the deliberate pairs beside them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "cross_entropy", Location("train.py", 50), input_location=Location("train.py", 22))
IDS = LossCall(
    0, 0, True, [64, 10], [64], [], "float32", "int64", 2.3, -2, 2, 0, 9, classes=10,
    input_op="AddmmBackward0", target_integral=True, target_distinct=10, target_mean=4.5, target_std=2.87,
)  # fmt: skip
ROWS = replace(IDS, target_shape=[64, 10], target_dtype="float32", target_min=0, target_max=1, target_mean=0.1,
               target_row_sum_error=0.0, target_binary=True)  # fmt: skip
NUMBERS = replace(ROWS, target_min=-2.1, target_max=2.6, target_mean=0.0, target_row_sum_error=6.0,
                  target_binary=False, target_integral=False)  # fmt: skip
COMPETING = replace(ROWS, input_op="SoftmaxBackward0", input_min=0.01, input_max=0.9, row_sum_error=1e-7,
                    target_mean=0.24, target_row_sum_error=3.0)  # fmt: skip
ONE_SOFTMAX = replace(ROWS, input_shape=[64, 1], input_min=1.0, input_max=1.0, input_op="SoftmaxBackward0")


def judge(call: LossCall, function: str = "cross_entropy", n: int = 8, *more: object) -> Verdict:
    return verdict_of(
        "L12", run_of(replace(SITE, function=function), *more, *[replace(call, step=i) for i in range(n)])
    )


@pytest.mark.parametrize(
    ("call", "function", "patch"),
    [
        (replace(IDS, input_shape=[64, 1], classes=1), "cross_entropy", ""),
        (
            replace(IDS, input_op="SigmoidBackward0", input_min=0.1, input_max=0.9),
            "cross_entropy",
            "drop-module:sigmoid",
        ),
        (replace(ROWS, target_mean=0.3, target_row_sum_error=5.0), "cross_entropy", "loss:several"),
        (replace(ROWS, input_shape=[64, 1], target_shape=[64, 1], classes=1), "cross_entropy", "loss:several"),
        (NUMBERS, "cross_entropy", "loss:mse_loss"),
        (NUMBERS, "binary_cross_entropy_with_logits", "loss:mse_loss"),
        (replace(ROWS, input_shape=[64], target_shape=[64], target_mean=0.5), "cross_entropy", "loss:several"),
        (COMPETING, "binary_cross_entropy", "loss:bce_with_logits + drop-module:softmax"),
        (ONE_SOFTMAX, "binary_cross_entropy", "loss:bce_with_logits + drop-module:softmax"),
        (ONE_SOFTMAX, "mse_loss", "drop-module:softmax"),
    ],
)
def test_pairs_that_cannot_work_fail(call: LossCall, function: str, patch: str) -> None:
    (finding,) = judge(call, function).findings
    assert finding.location in (SITE.location, SITE.input_location)
    assert finding.fix
    assert finding.patch == patch


@pytest.mark.parametrize(
    ("call", "function"),
    [
        (replace(COMPETING, target_mean=0.1, target_row_sum_error=0.0), "binary_cross_entropy"),
        (replace(COMPETING, input_op="SigmoidBackward0", row_sum_error=0.8), "binary_cross_entropy"),
        (IDS, "cross_entropy"),
        (ROWS, "cross_entropy"),  # one-hot
        (replace(ROWS, target_mean=0.06, target_row_sum_error=1.0), "cross_entropy"),  # one-hot with void pixels
        (
            replace(ROWS, target_binary=False, target_integral=False, target_row_sum_error=1e-7),
            "cross_entropy",
        ),  # mixup
        (ROWS, "binary_cross_entropy_with_logits"),  # single label by BCE
        (replace(NUMBERS, target_min=0.7, target_max=1.2), "binary_cross_entropy_with_logits"),  # noisy GAN labels
        (replace(NUMBERS, target_min=0.0, target_max=1.0), "binary_cross_entropy"),  # images of an autoencoder
        (replace(ROWS, target_mean=0.3, target_row_sum_error=5.0, target_given=True), "cross_entropy"),  # its own input
        (NUMBERS, "mse_loss"),
        (ROWS, "mse_loss"),  # Brier score
        (replace(ROWS, input_shape=[9], target_shape=[9], target_mean=1 / 9), "cross_entropy"),  # one distribution
    ],
)
def test_deliberate_pairs_pass(call: LossCall, function: str) -> None:
    assert judge(call, function).status == "pass"


def test_class_ids_under_squared_error_warn_where_accuracy_is_measured() -> None:
    column = replace(IDS, input_shape=[64, 1], target_shape=[64, 1], classes=0)
    assert [f.severity for f in judge(column, "mse_loss").findings] == ["info"]
    accuracy = Evaluation(8, 0, 4, None, metrics=4)
    assert [f.severity for f in judge(column, "mse_loss", 8, accuracy).findings] == ["warn"]
    for status, severity in (
        ("confirmed", "warn"),
        ("inconclusive", "info"),
        ("refuted", "info"),
        ("untested", "info"),
    ):
        tried = Experiment("L12", "head:10", "fix", status)
        assert [f.severity for f in judge(column, "mse_loss", 8, accuracy, tried).findings] == [severity]


def test_counts_and_images_under_squared_error_pass() -> None:
    counts = replace(IDS, input_shape=[64, 1], target_shape=[64, 1], target_mean=1.2, target_std=1.1)
    assert judge(counts, "mse_loss").status == "pass"
    assert judge(replace(IDS, target_shape=[64, 10]), "mse_loss").status == "pass"


def test_one_call_is_inconclusive() -> None:
    assert judge(IDS, n=1).status == "inconclusive"


def test_without_a_loss_it_is_skipped() -> None:
    assert verdict_of("L12", run_of()).status == "skipped"


def test_half_of_a_binary_cross_entropy_fails_where_nothing_else_is_in_the_sum() -> None:
    at = Location("train.py", 33)
    half = LossSite(0, "binary_cross_entropy", at, {"handmade": True, "part": "log p"})
    call = LossCall(0, 0, True, [64], [64], [], "float32", "float32", 0.3, 0.2, 0.9, 0, 1)
    term = LossTerm(0, 1, at, "MulBackward0", at)
    told = verdict_of("L12", run_of(half, *[call] * 4, term))
    assert [(f.location, f.patch) for f in told.findings] == [(at, "loss:both")]
    other = replace(term, location=Location("train.py", 34))
    assert verdict_of("L12", run_of(half, *[call] * 4, term, other)).status == "pass"


RATES = replace(IDS, input_shape=[64], input_op="ExpBackward0", input_min=0.2, input_max=7.0, target_max=6, classes=0)


def test_a_rate_that_is_taken_for_its_logarithm_fails() -> None:
    for made in ("ExpBackward0", "SoftplusBackward0"):
        (finding,) = judge(replace(RATES, input_op=made), "poisson_nll_loss").findings
        assert (finding.location, finding.patch) == (SITE.location, "loss:rate")


def test_rates_and_logarithms_pass() -> None:
    assert judge(replace(RATES, input_op="AddmmBackward0", input_min=-1.0), "poisson_nll_loss").status == "pass"
    of_rate = replace(SITE, function="poisson_nll_loss", settings={"log_input": False})
    assert verdict_of("L12", run_of(of_rate, *[replace(RATES, step=i) for i in range(8)])).status == "pass"
