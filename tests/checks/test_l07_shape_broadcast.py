"""L07 shape-broadcast: the accidental form, by a loss function and by hand, and broadcasting on purpose."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.loss.l07_shape_broadcast import doubled_axis
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Broadcast, Location, RootInfo
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 50, code="loss = ((model(x) - y) ** 2).mean()")
SITE = LossSite(0, "mse_loss", LINE)
CALL = LossCall(0, 0, True, [32, 1], [32], [], "float32", "float32", 1.0, -1, 1, -2, 2)
HAND = Broadcast("sub", LINE, 0, [32, 1], [32], [32, 32], left_from_model=True, batch_size=32)


@pytest.mark.parametrize(
    ("left", "right", "axis"),
    [
        ((32, 1), (32,), 32),
        ((32,), (32, 1), 32),
        ((2, 256, 256), (2, 1, 256, 256), 2),
        ((5, 32, 1), (32,), 32),
        ((8, 1, 3), (8, 3), 8),
        ((32, 1), (1, 32), 0),  # inserted on both sides: all pairs on purpose
        ((64, 1, 8), (64, 80, 8), 0),
        ((32, 10), (10,), 0),
        ((10, 10), (10,), 0),
        ((5, 32), (32,), 0),
        ((32, 1), (), 0),
        ((32, 1), (7,), 0),
        ((1, 1), (1,), 0),
        ((32, 1), (32, 1), 0),
    ],
)
def test_doubled_axis(left: tuple[int, ...], right: tuple[int, ...], axis: int) -> None:
    assert doubled_axis(left, right) == axis


def test_column_against_vector_fails() -> None:
    (finding,) = verdict_of("L07", run_of(SITE, CALL)).findings
    assert finding.location == LINE
    assert finding.fix.startswith("prediction.squeeze(-1)")


def test_the_target_may_be_the_column() -> None:
    (finding,) = verdict_of("L07", run_of(SITE, replace(CALL, input_shape=[32], target_shape=[32, 1]))).findings
    assert finding.fix.startswith("target.squeeze(-1)")


def test_arithmetic_by_hand_fails() -> None:
    (finding,) = verdict_of("L07", run_of(HAND)).findings
    assert finding.severity == "error"
    assert finding.location == LINE


def test_a_function_that_is_handed_both_is_told_where_the_model_is_called() -> None:
    inside, caller = Location("train.py", 62, "error"), Location("train.py", 70, "<module>")
    root = RootInfo(0, "net", "Sequential", train_calls=9, call_location=Location("train.py", 69, "<module>"))
    handed = replace(HAND, location=inside, caller=caller)
    (finding,) = verdict_of("L07", run_of(root, handed)).findings
    assert finding.location == root.call_location
    assert "line 62" in finding.message
    elsewhere = replace(root, call_location=Location("train.py", 31, "predict"))
    for records in ([elsewhere, handed], [root, replace(handed, caller=None)], [root, replace(root, index=1), handed]):
        assert [f.location for f in verdict_of("L07", run_of(*records)).findings] == [inside]


def test_loss_and_arithmetic_in_one_line_are_one_finding() -> None:
    assert len(verdict_of("L07", run_of(SITE, CALL, HAND)).findings) == 1


def test_equal_shapes_pass() -> None:
    assert verdict_of("L07", run_of(SITE, replace(CALL, target_shape=[32, 1]))).status == "pass"


@pytest.mark.parametrize(
    "harmless",
    [
        replace(HAND, in_module=True),
        replace(HAND, right_from_model=True),
        replace(HAND, left_from_model=False),
        replace(HAND, operation="eq"),
        replace(HAND, left_shape=[1, 1], right_shape=[1]),
        replace(HAND, left_shape=[32, 1], right_shape=[1, 32]),
        replace(HAND, left_shape=[32, 5], right_shape=[5]),
    ],
)
def test_broadcasting_on_purpose_passes(harmless: Broadcast) -> None:
    assert verdict_of("L07", run_of(SITE, replace(CALL, target_shape=[32, 1]), harmless)).status == "pass"


def test_an_axis_inserted_in_the_line_is_information() -> None:
    pairs = replace(HAND, location=replace(LINE, code="d = scores[:, None] - y"))
    assert [f.severity for f in verdict_of("L07", run_of(pairs)).findings] == ["info"]


def test_nothing_seen_is_skipped() -> None:
    assert verdict_of("L07", run_of()).status == "skipped"


def test_training_whose_operations_were_not_seen_is_inconclusive() -> None:
    assert verdict_of("L07", run_of(steps=100, backwards=100)).status == "inconclusive"
