"""L03 double-softmax: a failing, a passing and an inconclusive run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.loss_records import LossCall, LossSite, RepeatedSoftmax
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 41)
SITE = LossSite(0, "cross_entropy", Location("train.py", 50), train_calls=8)
PROBABILITIES = LossCall(
    0, 0, True, [64, 10], [64], [], "float32", "int64", 2.3, 0.01, 0.8, 0, 9,
    classes=10, row_sum_error=1e-7, input_module="net.5", input_module_type="Softmax",
    input_module_location=LINE,
)  # fmt: skip


def test_probabilities_into_cross_entropy_fail() -> None:
    verdict = verdict_of("L03", run_of(SITE, *[replace(PROBABILITIES, step=i) for i in range(8)]))
    assert verdict.status == "fail"
    (finding,) = verdict.findings
    assert finding.location == LINE
    assert finding.evidence["floor"] == pytest.approx(1.4612, abs=1e-4)


def test_logits_pass() -> None:
    logits = replace(PROBABILITIES, input_min=-4.0, input_max=3.0, row_sum_error=5.0)
    assert verdict_of("L03", run_of(SITE, *[replace(logits, step=i) for i in range(8)])).status == "pass"


def test_one_call_is_inconclusive() -> None:
    assert verdict_of("L03", run_of(SITE, PROBABILITIES)).status == "inconclusive"


def test_another_loss_that_was_called_once_hides_nothing() -> None:
    other = [replace(SITE, index=1, location=Location("train.py", 70)), replace(PROBABILITIES, site=1)]
    for order in (0, 1):
        calls = [replace(PROBABILITIES, step=i, site=order) for i in range(8)]
        once = replace(PROBABILITIES, site=1 - order)
        assert verdict_of("L03", run_of(SITE, other[0], *calls, once)).status == "fail"


def test_without_cross_entropy_it_is_skipped() -> None:
    assert verdict_of("L03", run_of(replace(SITE, function="mse_loss"), PROBABILITIES)).status == "skipped"


REPEATED = RepeatedSoftmax(
    "Categorical", Location("agent.py", 25), 0, 4, "SoftmaxBackward0", Location("agent.py", 12), calls=8, repeated=8
)


def test_probabilities_as_the_logits_of_a_distribution_fail_without_any_loss_function() -> None:
    softmax = ModuleInfo(3, "policy.3", "Softmax", "softmax", 0, LINE)
    for record, line in ((REPEATED, Location("agent.py", 12)), (replace(REPEATED, module=3), LINE)):
        verdict = verdict_of("L03", run_of(softmax, record))
        assert verdict.status == "fail"
        (finding,) = verdict.findings
        assert finding.location == line
        assert finding.evidence["most"] == pytest.approx(0.4754, abs=1e-4)


def test_a_line_that_is_given_probabilities_now_and_then_passes() -> None:
    calls = [replace(PROBABILITIES, step=i, input_min=-4.0, row_sum_error=5.0) for i in range(8)]
    assert verdict_of("L03", run_of(SITE, *calls, replace(REPEATED, repeated=7))).status == "pass"
    assert verdict_of("L03", run_of(replace(REPEATED, calls=2, repeated=2))).status == "skipped"
