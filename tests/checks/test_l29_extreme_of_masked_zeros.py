"""L29 extreme-of-masked-zeros."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.masked_extremes import MaskedExtreme
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

FOUND = MaskedExtreme("min", Location("train.py", 32), Location("train.py", 31), calls=8, rows=640, lost=640)


def test_a_zero_of_the_mask_in_every_row_fails_at_the_minimum() -> None:
    (finding,) = verdict_of("L29", run_of(FOUND, steps=8)).findings
    assert finding.location == FOUND.location
    assert finding.patch == "extreme:train.py:32"
    assert "smallest value" in finding.message


def test_a_row_in_which_a_value_wins_passes() -> None:
    assert verdict_of("L29", run_of(replace(FOUND, lost=639), steps=8)).status == "pass"
    assert verdict_of("L29", run_of(steps=8)).status == "pass"


def test_few_calls_or_rows_are_inconclusive_and_no_step_is_skipped() -> None:
    assert verdict_of("L29", run_of(replace(FOUND, calls=2), steps=2)).status == "inconclusive"
    assert verdict_of("L29", run_of(replace(FOUND, rows=15, lost=15), steps=8)).status == "inconclusive"
    assert verdict_of("L29", run_of()).status == "skipped"
