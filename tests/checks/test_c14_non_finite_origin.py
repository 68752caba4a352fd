"""C14 non-finite-origin."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from flightcheck.adapters.torch.graph import origin_of_non_finite
from flightcheck.recording.records import Call, NonFinite, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

ORIGIN = NonFinite(
    12, "loss", "loss", "LogBackward0", line(30), {"minimum": 0.0, "maximum": 0.9, "zeros": 3, "dtype": "float32"}
)
BROKEN = [1.0] * 12 + [math.nan] * 8


def test_the_first_origin_is_named_with_its_line_and_inputs() -> None:
    later = NonFinite(13, "parameter", "net.0.weight", location=line(99))
    (finding,) = verdict_of("C14", run_of(later, ORIGIN, series={LOSS: BROKEN})).findings
    assert finding.location == line(30)
    assert finding.onset_step == 12
    assert "Log" in finding.message and "3 zeros" in finding.message
    assert "logarithm" in finding.fix


@pytest.mark.parametrize(
    ("made", "words", "fix"),
    [
        (lambda x: x.sqrt(), "the square root of a negative number, its finite results lie from 1 to 2", "clamp"),
        (lambda x: (x.relu() * 1.0).rsqrt(), "1/0, its finite results lie from 0.5 to 1", "epsilon"),
        (lambda x: x.log(), "the logarithm of 0 or less, of values from -1 to 4", "Clamp"),
    ],
)
def test_what_was_kept_of_an_operation_is_told_as_what_it_is(made: Any, words: str, fix: str) -> None:
    x = torch.tensor([1.0, -1.0, 4.0], requires_grad=True)
    found = origin_of_non_finite(made(x).sum())
    assert found is not None
    node, reason, values = found
    origin = NonFinite(0, "loss", "", node.name(), line(30), {"reason": reason, **values})
    (finding,) = verdict_of("C14", run_of(origin, series={LOSS: BROKEN})).findings
    assert words in finding.message
    assert fix in finding.fix


def test_what_the_data_brought_is_filled_and_nothing_is_clamped() -> None:
    (finding,) = verdict_of("C14", run_of(NonFinite(3, "input", "0"), series={LOSS: BROKEN})).findings
    assert finding.patch == "inputs:finite"
    assert verdict_of("C14", run_of(ORIGIN, series={LOSS: BROKEN})).findings[0].patch == ""


def test_a_lost_loss_without_origin_still_fails() -> None:
    (finding,) = verdict_of("C14", run_of(Plan(loss_location=line(5)), series={LOSS: BROKEN})).findings
    assert finding.location == line(5)


def test_finite_losses_pass() -> None:
    assert verdict_of("C14", run_of(series={LOSS: [1.0] * 20})).status == "pass"


def test_masks_of_minus_infinity_pass() -> None:
    mask = NonFinite(3, "activation", "scores", "MaskedFillBackward0")
    assert verdict_of("C14", run_of(mask, series={LOSS: [1.0] * 20})).status == "pass"


def test_steps_that_the_loss_scaler_skipped_pass() -> None:
    overflow = NonFinite(0, "gradient", "net.0.weight")
    assert verdict_of("C14", run_of(overflow, Call(4, 0, "scaler_skip"), series={LOSS: [1.0] * 20})).status == "pass"


def test_without_losses_it_is_inconclusive() -> None:
    assert verdict_of("C14", run_of()).status == "inconclusive"


def test_an_origin_without_any_finite_value_is_told() -> None:
    nothing = NonFinite(0, "activation", "attention", "MmBackward0", line(30), {"minimum": None, "maximum": None})
    (finding,) = verdict_of("C14", run_of(nothing, series={LOSS: [math.nan] * 20})).findings
    assert finding.location == line(30)
