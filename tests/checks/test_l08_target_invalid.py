"""L08 target-invalid: failing, passing and inconclusive runs, and targets that only look wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "binary_cross_entropy_with_logits", Location("train.py", 50))
CALL = LossCall(
    0, 0, True, [64], [64], [], "float32", "float32", 0.6, -2, 2, 0, 1, input_op="AddmmBackward0", target_integral=True
)


def status(call: LossCall, function: str, n: int = 8, **settings: object) -> str:
    site = replace(SITE, function=function, settings=settings)
    return verdict_of("L08", run_of(site, *[replace(call, step=i) for i in range(n)])).status


@pytest.mark.parametrize(
    ("low", "high", "patch"),
    [(-1, 1, "targets:unit=-1,1"), (0, 255, "targets:unit=0,255"), (0, 97, "targets:unit=0,100"), (0, 2, "")],
)
def test_wrong_coding_of_binary_labels_fails(low: float, high: float, patch: str) -> None:
    verdict = verdict_of(
        "L08", run_of(SITE, *[replace(CALL, step=i, target_min=low, target_max=high) for i in range(8)])
    )
    (finding,) = verdict.findings
    assert finding.location == SITE.location
    assert finding.fix
    assert finding.patch == patch


def test_zero_one_and_noisy_labels_pass() -> None:
    assert status(CALL, "binary_cross_entropy_with_logits") == "pass"
    noisy = replace(CALL, target_min=0.7, target_max=1.2, target_integral=False)
    assert status(noisy, "binary_cross_entropy_with_logits") == "pass"


def test_swapped_arguments_fail() -> None:
    swapped = replace(CALL, training=False, input_op="", target_requires_grad=True, target_integral=False)
    assert status(swapped, "binary_cross_entropy_with_logits") == "fail"


def test_zero_one_for_signs_fails() -> None:
    assert status(replace(CALL, target_binary=True), "soft_margin_loss") == "fail"
    assert status(replace(CALL, target_min=-1), "soft_margin_loss") == "pass"
    for function in ("soft_margin_loss", "cosine_embedding_loss", "margin_ranking_loss"):
        told = verdict_of("L08", run_of(LossSite(0, function, None), *[replace(CALL, target_binary=True)] * 3))
        assert [f.patch for f in told.findings] == ["targets:signs"]


def test_kl_div_targets() -> None:
    logs = replace(CALL, target_min=-7.0, target_max=-0.1)
    assert status(logs, "kl_div") == "fail"
    assert status(logs, "kl_div", log_target=True) == "pass"
    assert status(CALL, "kl_div") == "pass"


def test_class_id_out_of_range_fails_where_the_script_stopped() -> None:
    at = Location("train.py", 50)
    verdict = verdict_of("L08", run_of(error="IndexError: Target 10 is out of bounds.", error_location=at))
    assert [f.location for f in verdict.findings] == [at]
    assert "10" in verdict.findings[0].message
    assert verdict.findings[0].patch == "targets:shift-1"
    (below,) = verdict_of("L08", run_of(error="IndexError: Target -1 is out of bounds.", error_location=at)).findings
    assert below.patch == ""


def test_targets_at_which_the_loss_stopped_the_script_fail() -> None:
    error = "RuntimeError: all elements of target should be between 0 and 1"
    (finding,) = verdict_of("L08", run_of(error=error, error_location=Location("train.py", 50))).findings
    assert (finding.location, finding.patch) == (Location("train.py", 50), "targets:unit")


def test_labels_from_one_with_a_spare_column_are_information() -> None:
    ids = replace(CALL, target_min=1, target_max=3, classes=4, label_counts=[0, 20, 22, 22], target_dtype="int64")
    verdict = verdict_of(
        "L08", run_of(replace(SITE, function="cross_entropy"), *[replace(ids, step=i) for i in range(8)])
    )
    assert [f.severity for f in verdict.findings] == ["info"]
    assert status(ids, "cross_entropy", ignore_index=0) == "pass"
    assert status(replace(ids, label_counts=[5, 20, 20, 19]), "cross_entropy") == "pass"


def test_one_call_is_inconclusive() -> None:
    assert status(CALL, "binary_cross_entropy_with_logits", n=1) == "inconclusive"


def test_without_a_loss_it_is_skipped() -> None:
    assert verdict_of("L08", run_of()).status == "skipped"


def test_rows_of_labels_for_a_loss_that_wants_ids_fail() -> None:
    rows = replace(CALL, classes=8, target_binary=True, target_dtype="int64")
    told = verdict_of("L08", run_of(LossSite(0, "multilabel_margin_loss", None), *[rows] * 3))
    assert [f.patch for f in told.findings] == ["loss:several"]
    assert status(replace(rows, target_min=-1, target_max=7, target_binary=False), "multilabel_margin_loss") == "pass"


def test_swapped_arguments_of_a_cross_entropy_fail() -> None:
    swapped = replace(CALL, input_op="", target_requires_grad=True, target_integral=False)
    assert status(swapped, "cross_entropy") == "fail"
    assert status(replace(swapped, input_op="AddmmBackward0"), "cross_entropy") == "pass"
