"""L27 pairs-of-the-same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.same_pairs import SamePairs
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import CROSS_ENTROPY

MADE = Location("train.py", 13, "", "b = enc(view)")
FOUND = SamePairs(Location("train.py", 14), MADE, None, 0, "cross_entropy", 64, itself=False, calls=8, equal=8)
ITSELF = replace(FOUND, itself=True)


def test_equal_pairs_fail_where_the_second_half_is_made() -> None:
    (finding,) = verdict_of("L27", run_of(FOUND, replace(FOUND, operation="diagonal"), steps=8)).findings
    assert finding.location == MADE
    assert "all 64 pairs are equal" in finding.message and "same input for both" in finding.message


def test_pairs_that_differ_in_some_call_pass() -> None:
    assert verdict_of("L27", run_of(replace(FOUND, equal=7), steps=8)).status == "pass"
    assert verdict_of("L27", run_of(steps=8)).status == "pass"


@pytest.mark.parametrize(("function", "rest", "status"), [
    ("cross_entropy", 0.0, "fail"), ("cross_entropy", 0.7, "pass"), ("mse_loss", 0.0, "pass"),
])  # fmt: skip
def test_each_beside_itself_fails_where_that_is_the_whole_loss(function: str, rest: float, status: str) -> None:
    site = LossSite(0, function, Location("train.py", 15))
    calls = [replace(CROSS_ENTROPY, step=i, value=2.0 - 0.1 * i) for i in range(5)]
    series = {LOSS: [2.0 - 0.1 * i + rest * i for i in range(5)]}
    assert verdict_of("L27", run_of(site, ITSELF, *calls, series=series, steps=8)).status == status


def test_few_calls_are_inconclusive_and_no_step_is_skipped() -> None:
    assert verdict_of("L27", run_of(replace(FOUND, calls=2, equal=2), steps=2)).status == "inconclusive"
    assert verdict_of("L27", run_of()).status == "skipped"
