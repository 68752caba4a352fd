"""C43 embedding-rows-unread."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.embedding_rows import EmbeddingRows
from flightcheck.recording.records import Location, ParameterInfo
from flightcheck.testing import run_of, verdict_of

LINE, MADE = Location("train.py", 16), Location("train.py", 9)
TABLE = ParameterInfo(0, "m.u.weight", 1, [80, 16], "embedding")
SEEN = EmbeddingRows(0, LINE, MADE, rows=80, read=[0, 1], calls=8, numbers=512)


def test_two_of_many_rows_fail_where_the_numbers_are_made() -> None:
    (finding,) = verdict_of("C43", run_of(TABLE, SEEN)).findings
    assert finding.location == MADE
    assert "Of the 80 rows of m.u.weight only 0 and 1 were read" in finding.message
    (finding,) = verdict_of("C43", run_of(TABLE, replace(SEEN, origin=None))).findings
    assert finding.location == LINE


@pytest.mark.parametrize(
    ("rows", "read", "told"), [(12, [0], True), (12, [0, 1], False), (16, [0, 1], True), (80, [0, 1, 2], False)]
)
def test_few_rows_may_need_two(rows: int, read: list[int], told: bool) -> None:
    assert bool(verdict_of("C43", run_of(TABLE, replace(SEEN, rows=rows, read=read))).findings) == told


def test_rows_in_use_pass() -> None:
    assert verdict_of("C43", run_of(TABLE, replace(SEEN, read=[0, 1, 2, 3, 4, 5, 6, 7]))).status == "pass"


def test_few_look_ups_are_inconclusive() -> None:
    assert verdict_of("C43", run_of(TABLE, replace(SEEN, numbers=64))).status == "inconclusive"
    assert verdict_of("C43", run_of(TABLE, replace(SEEN, calls=2))).status == "inconclusive"


def test_without_an_embedding_it_is_skipped() -> None:
    assert verdict_of("C43", run_of()).status == "skipped"
