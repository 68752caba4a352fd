"""C32 axes-mixed-by-reshape: shapes that only a transpose explains, and sizes that are equal by coincidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Probe
from flightcheck.recording.layouts import CrossedRows, Reshape
from flightcheck.recording.loss_records import LossAxes
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

LINE = Location("/tmp/train.py", 12, code="x = x.view(T, B, C)")


def reshape(before: list[int], after: list[int], **more: object) -> Reshape:
    return replace(Reshape("view", LINE, before, after, in_module=True), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([7, 32, 16], [32, 7, 16]),
        ([8, 28, 28, 3], [8, 3, 28, 28]),
        ([8, 16, 16, 4], [8, 4, 16, 16]),
        ([999, 2], [2, 999]),
        ([1000, 2], [2, 1000]),
        ([16, 50, 11], [50, 16, 11]),
        ([4, 20, 64], [4, 8, 20, 8]),
        ([4, 20, 64], [32, 20, 8]),
        ([2, 33, 10], [33, 20]),
        ([8, 6, 5, 5], [8, 25, 6]),
        ([4, 3, 4, 4, 8, 8], [4, 16, 192]),
        ([5, 3, 8, 8], [3, 320]),
        ([8, 6, 7], [56, 6]),
    ],
)
def test_shapes_that_only_a_transpose_explains_fail(before: list[int], after: list[int]) -> None:
    (finding,) = verdict_of("C32", run_of(reshape(before, after))).findings
    assert finding.location == LINE
    assert finding.patch == "axes:permute:train.py:12"
    assert "transpose" in finding.fix or "permute" in finding.fix


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([32, 8], [8, 32]),  # four rows side by side
        ([64, 256], [256, 64]),  # four heads below one another
        ([16, 64, 5], [64, 16, 5]),  # windows of 16
        ([2, 32, 10], [32, 20]),
        ([4, 16, 64], [4, 4, 16, 16]),
        ([32, 8, 8], [8, 256]),  # eight groups of channels
    ],
)
def test_sizes_that_fit_both_are_inconclusive(before: list[int], after: list[int]) -> None:
    assert verdict_of("C32", run_of(reshape(before, after))).status == "inconclusive"


@pytest.mark.parametrize(
    ("before", "after"), [([6, 4, 10], [12, 20]), ([28, 28], [49, 16]), ([32, 128], [64, 64]), ([10, 6], [4, 15])]
)
def test_no_axis_that_keeps_its_size_passes(before: list[int], after: list[int]) -> None:
    assert verdict_of("C32", run_of(reshape(before, after))).status == "pass"


def test_a_reshape_between_two_trainings_begins_with_the_second() -> None:
    (finding,) = verdict_of("C32", run_of(reshape([7, 32, 16], [32, 7, 16], step=300))).findings
    assert finding.onset_step == 300


def test_a_size_that_changes_with_the_axis_is_no_coincidence() -> None:
    calls = [reshape([2, 32, 10], [32, 20]), reshape([2, 24, 10], [24, 20])]
    assert len(verdict_of("C32", run_of(*calls)).findings) == 1


def test_there_and_back_on_one_line_is_no_habit() -> None:
    assert verdict_of("C32", run_of(reshape([64, 16], [16, 64]), reshape([16, 64], [64, 16]))).status == "inconclusive"


def test_sizes_that_were_equal_in_one_call_only_pass() -> None:
    calls = [reshape([64, 256], [256, 64]), reshape([48, 256], [192, 64])]
    assert verdict_of("C32", run_of(*calls)).status == "pass"


def test_a_size_written_as_that_of_the_axis_fails() -> None:
    call = reshape([4, 16, 64], [4, 4, 16, 16], written=[0, -1, 1, -1])
    (finding,) = verdict_of("C32", run_of(call)).findings
    assert finding.fix.startswith("Write .reshape(4, 16, 4, 16).transpose(1, 2)")


@pytest.mark.parametrize(("before", "after"), [([60, 48, 6], [60, 6, 48]), ([900, 64, 16], [900, 16, 64])])
def test_channels_that_a_convolution_looks_for_fail(before: list[int], after: list[int]) -> None:
    (finding,) = verdict_of("C32", run_of(reshape(before, after, channels=True))).findings
    assert finding.fix.startswith("Write .transpose(1, 2)")
    assert verdict_of("C32", run_of(reshape(before, after))).status == "inconclusive"


def test_steps_that_are_piled_up_before_a_convolution_pass() -> None:
    assert verdict_of("C32", run_of(reshape([32, 96, 8], [32, 48, 16], channels=True))).status == "pass"


def test_last_hidden_states_fail() -> None:
    (finding,) = verdict_of("C32", run_of(reshape([2, 32, 10], [32, 20], state=True))).findings
    assert finding.fix.startswith("Write .transpose(0, 1).reshape(32, 20)")


def test_outputs_that_depend_on_other_examples_decide() -> None:
    call = reshape([16, 64, 5], [64, 16, 5])
    leak = Probe("leaks", {"examples": 0.2, "dim": 0, "batch": 16})
    assert verdict_of("C32", run_of(call, leak)).status == "fail"
    assert verdict_of("C32", run_of(call, replace(leak, result={"examples": 1e-15}))).status == "inconclusive"


def test_what_the_loss_tells_is_not_told_twice() -> None:
    axes = LossAxes(0, 0, "mixed", [99, 4], "conv", [1, 4, 9, 11], 4, "ViewBackward0", LINE)
    assert verdict_of("C32", run_of(reshape([1, 4, 9, 11], [99, 4]))).status == "fail"
    assert verdict_of("C32", run_of(reshape([1, 4, 9, 11], [99, 4]), axes)).status == "pass"


def test_prediction_and_target_mixed_in_the_same_way_pass() -> None:
    one = reshape([7, 32, 16], [32, 7, 16], in_module=False, from_model=True)
    other = replace(one, location=replace(LINE, line=13), from_model=False, plain=True)
    assert verdict_of("C32", run_of(one, other)).status == "pass"
    assert verdict_of("C32", run_of(one)).status == "fail"


def test_data_stored_in_the_other_order_pass() -> None:
    assert verdict_of("C32", run_of(reshape([7, 32], [32, 7], undone=True))).status == "pass"


def test_a_training_without_such_reshapes_passes_and_no_training_is_skipped() -> None:
    assert verdict_of("C32", run_of(steps=10)).status == "pass"
    assert verdict_of("C32", run_of()).status == "skipped"


CROSSED = CrossedRows(0, 0, [16, 30], [30, 16], [30, 16], LINE, Location("train.py", 9), calls=8)


def test_prediction_and_target_that_are_flattened_in_different_orders_fail() -> None:
    (finding,) = verdict_of("C32", run_of(CROSSED)).findings
    assert finding.location == LINE
    assert "(16, 30)" in finding.message
    assert "target.permute(1, 0)" in finding.fix
    assert finding.patch == "axes:target=1.0:train.py:12"
    assert diff_of([Patch.parse(finding.patch)], finding, run_of()).endswith("of the target.permute(1, 0)")
    with_a_column = replace(CROSSED, target_shape=[30, 1, 16, 5])
    (finding,) = verdict_of("C32", run_of(with_a_column)).findings
    assert finding.patch == "axes:target=2.0.1.3:train.py:12"


def test_one_call_with_crossed_rows_is_no_habit() -> None:
    assert verdict_of("C32", run_of(replace(CROSSED, calls=1), steps=20)).status == "pass"
