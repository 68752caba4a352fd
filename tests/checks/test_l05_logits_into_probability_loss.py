"""L05 logits-into-probability-loss: failing, passing and inconclusive runs, and its look-alikes."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, NonFinite
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "nll_loss", Location("train.py", 50), input_location=Location("train.py", 22))
LOGITS = LossCall(
    0, 0, True, [64, 10], [64], [], "float32", "int64", 0.1, -1.2, 1.3, 0, 9,
    classes=10, row_sum_error=4.0, log_sum_error=2.4, input_op="AddmmBackward0",
)  # fmt: skip
LOG_PROBABILITIES = replace(LOGITS, input_min=-9.0, input_max=-0.01, log_sum_error=1e-6, input_op="LogSoftmaxBackward0")
REFUSED = "RuntimeError: all elements of input should be between 0 and 1"


def status(call: LossCall, site: LossSite = SITE, n: int = 8) -> str:
    return verdict_of("L05", run_of(site, *[replace(call, step=i) for i in range(n)])).status


def test_logits_into_nll_fail() -> None:
    verdict = verdict_of("L05", run_of(SITE, *[replace(LOGITS, step=i) for i in range(8)]))
    (finding,) = verdict.findings
    assert finding.location == SITE.location
    assert "CrossEntropyLoss" in finding.fix


def test_probabilities_into_nll_blame_the_softmax() -> None:
    softmax = replace(LOGITS, input_min=0.0, input_max=0.9, row_sum_error=1e-7, input_op="SoftmaxBackward0")
    verdict = verdict_of("L05", run_of(SITE, *[replace(softmax, step=i) for i in range(8)]))
    (finding,) = verdict.findings
    assert finding.location == SITE.input_location
    assert "log_softmax" in finding.fix
    assert finding.patch == "loss:cross_entropy + drop-module:softmax", "not a softmax after a softmax"


def test_negative_logits_into_nll_fail() -> None:
    assert status(replace(LOGITS, input_max=-0.5, log_sum_error=0.8)) == "fail"


def test_probabilities_into_kl_div_fail() -> None:
    assert status(replace(LOGITS, input_min=0.0, input_max=0.9), replace(SITE, function="kl_div")) == "fail"


def test_log_probabilities_pass() -> None:
    assert status(LOG_PROBABILITIES) == "pass"
    assert status(replace(LOG_PROBABILITIES, log_sum_error=0.01, input_op="LogBackward0")) == "pass"


def test_kl_div_over_another_dimension_passes() -> None:
    other = replace(LOG_PROBABILITIES, log_sum_error=2.0, target_row_sum_error=0.7)
    assert status(other, replace(SITE, function="kl_div")) == "pass"


def test_log_softmax_over_the_wrong_dimension_is_another_fault() -> None:
    assert status(replace(LOG_PROBABILITIES, log_sum_error=3.0)) == "pass"


def test_fully_masked_rows_pass() -> None:
    assert status(replace(LOG_PROBABILITIES, log_sum_error=float("inf"))) == "pass"
    assert status(replace(LOG_PROBABILITIES, input_max=float("nan"), log_sum_error=float("nan"))) == "pass"


def test_refused_logits_fail_where_the_script_stopped() -> None:
    at = Location("train.py", 61)
    verdict = verdict_of("L05", run_of(error=REFUSED, error_location=at, ended="exception"))
    assert [f.location for f in verdict.findings] == [at]


def test_probabilities_that_became_nan_are_another_fault() -> None:
    nan = NonFinite(4, "loss", "loss")
    assert verdict_of("L05", run_of(nan, error=REFUSED)).status == "skipped"


def test_one_call_is_inconclusive() -> None:
    assert status(LOGITS, n=1) == "inconclusive"


def test_without_such_a_loss_it_is_skipped() -> None:
    assert status(LOGITS, replace(SITE, function="cross_entropy")) == "skipped"


def test_logits_into_ctc_fail() -> None:
    verdict = verdict_of(
        "L05", run_of(replace(SITE, function="ctc_loss"), *[replace(LOGITS, step=i) for i in range(8)])
    )
    assert [f.patch for f in verdict.findings] == ["loss:log_softmax"]
    assert status(LOG_PROBABILITIES, replace(SITE, function="ctc_loss")) == "pass"


def test_scores_into_a_loss_of_distances_fail() -> None:
    hinge, distances = replace(SITE, function="hinge_embedding_loss"), replace(LOGITS, input_min=0.0)
    verdict = verdict_of("L05", run_of(hinge, *[replace(LOGITS, step=i) for i in range(8)]))
    assert [f.patch for f in verdict.findings] == ["loss:soft_margin"]
    assert status(distances, hinge) == "pass"


def test_calls_after_it_became_nan_do_not_count() -> None:
    nan = replace(LOGITS, input_min=float("nan"), input_max=float("nan"))
    calls = [replace(c, step=i) for i, c in enumerate([LOGITS] * 4 + [nan] * 4)]
    assert verdict_of("L05", run_of(SITE, *calls)).status == "fail"
