"""L06 class-dimension-wrong: each layout that hides the classes, and the layouts that are right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossAxes, LossCall, LossSite
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

LINE, VIEW, SOFTMAX = Location("train.py", 50), Location("train.py", 48), Location("train.py", 30)
SITE = LossSite(0, "cross_entropy", LINE)
FLAT = LossAxes(0, 0, "same", [128, 5], "conv", [2, 5, 8, 8], 5)
SEQUENCE = LossAxes(0, 0, "same", [4, 7, 7], "linear", [4, 7, 7], 7)


def judge(axes: LossAxes, function: str = "cross_entropy") -> Verdict:
    return verdict_of("L06", run_of(replace(SITE, function=function), *[replace(axes, step=i) for i in range(4)]))


@pytest.mark.parametrize(
    ("axes", "function", "line"),
    [
        (replace(FLAT, relation="mixed", view_location=VIEW), "cross_entropy", VIEW),
        (replace(SEQUENCE, relation="other"), "cross_entropy", LINE),
        (replace(SEQUENCE, relation="other", softmax_differs=True, softmax_dim=2), "nll_loss", LINE),
        (
            replace(SEQUENCE, relation="", input_shape=[4, 9, 7], target_sum_error_last=0, target_sum_error_classes=2),
            "cross_entropy",
            LINE,
        ),
        (replace(FLAT, softmax_differs=True, softmax_dim=0, softmax_location=SOFTMAX), "nll_loss", SOFTMAX),
        (
            replace(FLAT, softmax_differs=True, softmax_dim=0, softmax_location=SOFTMAX, target_sum_error_last=0,
                    target_sum_error_classes=0),
            "mse_loss",
            SOFTMAX,
        ),
    ],
)  # fmt: skip
def test_classes_on_another_axis_fail(axes: LossAxes, function: str, line: Location) -> None:
    (finding,) = judge(axes, function).findings
    assert finding.location == line
    assert finding.fix


@pytest.mark.parametrize(
    ("changes", "patch"),
    [
        ({}, "axes:softmax=1:train.py:30"),
        ({"producer": "linear"}, "axes:softmax=-1:train.py:30"),
        ({"softmax_location": None}, ""),
        ({"relation": "mixed", "view_location": VIEW}, ""),
        ({"softmax_differs": False, "relation": "mixed", "view_location": VIEW}, ""),
    ],
)
def test_the_softmax_of_a_line_is_tried_over_the_classes(changes: dict[str, Any], patch: str) -> None:
    axes = replace(FLAT, **{"softmax_differs": True, "softmax_dim": 0, "softmax_location": SOFTMAX} | changes)
    (finding,) = judge(axes, "nll_loss" if axes.relation == "same" else "cross_entropy").findings
    assert finding.patch == patch


def test_softmax_module_is_named_where_it_was_constructed() -> None:
    module = ModuleInfo(0, "model.1", "LogSoftmax", "softmax", 0, Location("train.py", 9), settings={"dim": 0})
    axes = replace(FLAT, softmax_differs=True, softmax_dim=0, softmax_location=SOFTMAX)
    (finding,) = verdict_of("L06", run_of(replace(SITE, function="nll_loss"), module, axes)).findings
    assert finding.location == module.location


@pytest.mark.parametrize(
    ("axes", "function"),
    [
        (FLAT, "cross_entropy"),
        (SEQUENCE, "cross_entropy"),
        (replace(SEQUENCE, relation=""), "cross_entropy"),  # not followed
        (replace(FLAT, relation="mixed", producer_classes=15), "cross_entropy"),  # 3 anchors of 5 classes
        (replace(FLAT, relation="other", input_shape=[5, 5]), "cross_entropy"),  # images against texts, transposed
        (replace(SEQUENCE, relation="other", input_shape=[4, 3, 7]), "cross_entropy"),  # a layer over time
        (replace(SEQUENCE, target_sum_error_last=0, target_sum_error_classes=0), "cross_entropy"),
        (replace(FLAT, softmax_differs=True, softmax_dim=0), "mse_loss"),  # weights over the batch, on purpose
    ],
)
def test_right_layouts_pass(axes: LossAxes, function: str) -> None:
    assert judge(axes, function).status == "pass"


def test_one_call_in_another_layout_is_no_fault_of_the_line() -> None:
    calls = [replace(SEQUENCE, relation="other"), SEQUENCE]
    assert verdict_of("L06", run_of(SITE, *calls)).status == "pass"


def test_prediction_that_was_not_followed_is_inconclusive() -> None:
    call = LossCall(0, 0, True, [8, 3], [8], [], "float32", "int64", 1.0, -1, 1, 0, 2)
    assert verdict_of("L06", run_of(SITE, call)).status == "inconclusive"


def test_without_a_loss_it_is_skipped() -> None:
    assert verdict_of("L06", run_of()).status == "skipped"
