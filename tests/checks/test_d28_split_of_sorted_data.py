"""D28 split-of-sorted-data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.recording.batches import Batch
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LINE, CUT = Location("train.py", 40), Location("train.py", 12)
SITE = LossSite(0, "cross_entropy", Location("train.py", 30))
TEST = EvaluatedLabels(-1, LINE, 20, [0, 0, 40], digest="e")


def call(step: int, counts: list[int] | None, **facts: Any) -> LossCall:
    made = LossCall(0, step, True, [8, 3], [8], [], "float32", "int64", 1.0, -1, 1, 0, 2, label_counts=counts)
    return replace(made, **facts)


MIXED = [call(i, [4, 3, 1]) for i in range(10)]


def batch(training: bool, rows: list[int], digest: str, origin: Location | None = None) -> Batch:
    return Batch(0, training, 0, "0", [len(rows), 4], "float32", digest, 0, 1, 0.5, 0.3, 0, 0.0, rows=rows,
                 order_origin=origin)  # fmt: skip


def test_a_test_set_of_the_last_class_fails_where_it_is_cut() -> None:
    (finding,) = verdict_of("D28", run_of(SITE, *MIXED, TEST, batch(False, [1, 2], "e", CUT))).findings
    assert finding.location == CUT
    assert "All 40 evaluated labels are of class 2, which 12% of the training's are of" in finding.message


def test_classes_behind_all_of_the_training_and_before_them_fail() -> None:
    behind = replace(TEST, counts=[0, 0, 10, 20, 20])
    assert verdict_of("D28", run_of(SITE, *MIXED, behind)).status == "fail"
    later = [call(i, [0, 2, 3, 3]) for i in range(10)]
    assert verdict_of("D28", run_of(SITE, *later, replace(TEST, counts=[30, 10]))).status == "fail"


def test_a_binary_target_is_counted() -> None:
    binary = [replace(call(i, None), target_binary=True, target_mean=0.25, classes=0) for i in range(10)]
    site = replace(SITE, function="binary_cross_entropy_with_logits")
    assert verdict_of("D28", run_of(site, *binary, replace(TEST, counts=[0, 40]))).status == "fail"
    assert verdict_of("D28", run_of(site, *binary, replace(TEST, counts=[5, 35]))).status == "pass"


@pytest.mark.parametrize("counts", [[14, 14, 12], [0, 20, 20], [0, 1, 39], [19, 20, 1]])
def test_classes_within_those_of_the_training_pass(counts: list[int]) -> None:
    assert verdict_of("D28", run_of(SITE, *MIXED, replace(TEST, counts=counts))).status == "pass"


def test_one_class_after_the_other_passes() -> None:
    each = [replace(TEST, counts=[0] * c + [30], digest=str(c)) for c in range(3)]
    assert verdict_of("D28", run_of(SITE, *MIXED, *each)).status == "pass"


def test_a_frequent_class_and_few_examples_pass() -> None:
    common = [call(i, [1, 0, 31]) for i in range(10)]
    assert verdict_of("D28", run_of(SITE, *common, TEST)).status == "pass"
    assert verdict_of("D28", run_of(SITE, *MIXED, replace(TEST, counts=[0, 0, 19]))).status == "pass"


def test_the_training_data_are_no_test_set() -> None:
    mixed = replace(TEST, counts=[40, 30, 10], digest="t")
    seen = [batch(True, [1, 2, 3, 4], "a"), batch(False, [2, 3, 4, 9], "t")]
    assert verdict_of("D28", run_of(SITE, *MIXED, TEST, mixed, *seen)).status == "fail"
    assert verdict_of("D28", run_of(SITE, *MIXED, TEST, mixed, batch(False, [2, 3], "t"))).status == "pass"
    loader = DatasetInfo(3, 0, "TensorDataset", 80, trained=True, evaluated=True)
    given = [loader, replace(TEST, source=3, counts=[40, 30, 10])]
    assert verdict_of("D28", run_of(SITE, *MIXED, TEST, *given)).status == "fail"
    assert verdict_of("D28", run_of(SITE, *MIXED, *given)).status == "inconclusive"


def test_classes_one_after_the_other_in_training_are_inconclusive() -> None:
    halves = [call(i, [8, 0, 0] if i < 5 else [0, 8, 0]) for i in range(10)]
    assert verdict_of("D28", run_of(SITE, *halves, TEST)).status == "inconclusive"


def test_without_classes_it_is_skipped() -> None:
    assert verdict_of("D28", run_of(TEST)).status == "skipped"
    assert verdict_of("D28", run_of(SITE, *MIXED)).status in ("inconclusive", "skipped")


def test_a_measure_for_each_class_by_itself_passes() -> None:
    """Sensitivity and specificity: the one is of the sick alone, the other of the healthy."""
    each = [replace(TEST, counts=[30], digest="a"), replace(TEST, counts=[0, 0, 40], digest="b")]
    assert verdict_of("D28", run_of(SITE, *MIXED, *each)).status == "pass"
