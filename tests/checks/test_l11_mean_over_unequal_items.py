"""L11 mean-over-unequal-items: parts of different sizes, and the ways to weigh them right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "cross_entropy", Location("train.py", 50), train_calls=20)
CALL = LossCall(0, 0, True, [60, 12], [60], [], "float32", "int64", 2.0, -1, 1, 0, 11, classes=12)
TERM = LossTerm(0, 0, None, "NllLossBackward0", site=0, coefficient=0.25)


def judge(
    ignored: list[int], *, shapes: list[list[int]] | None = None, factors: list[float | None] | None = None,
    together: bool = False, n: int = 4, site: LossSite = SITE,
) -> Verdict:  # fmt: skip
    records: list[LossCall | LossTerm] = []
    for step in range(n):
        for i, count in enumerate(ignored):
            shape = shapes[i] if shapes else [60]
            records.append(replace(CALL, step=step, ignored=count, target_shape=shape))
            factor = factors[i] if factors else 0.25
            records.append(replace(TERM, step=step, backward=step if together else 10 * step + i, coefficient=factor))
    return verdict_of("L11", run_of(site, *records))


def test_means_over_padded_parts_warn() -> None:
    (finding,) = judge([50, 10, 0, 40]).findings
    assert finding.location == SITE.location
    assert finding.evidence["items"] == [10, 50, 60, 20]


def test_sequences_of_one_batch_are_information() -> None:
    assert [f.severity for f in judge([50, 10, 0, 40], together=True).findings] == ["info"]


def test_lengths_without_padding_warn() -> None:
    assert judge([0, 0], shapes=[[4, 5], [4, 50]]).status == "fail"


def test_equal_parts_pass() -> None:
    assert judge([10, 11, 10, 9]).status == "pass"


@pytest.mark.parametrize(
    "verdict",
    [
        judge([50, 10, 0, 40], factors=[0.08, 0.35, 0.43, 0.14]),  # weighted by the number of targets
        judge([50, 10, 0, 40], factors=[None, None, None, None]),
        judge([0, 0], shapes=[[64], [20]]),  # a smaller last batch of examples
        judge([50]),
    ],
)
def test_weighted_parts_and_single_means_are_skipped(verdict: Verdict) -> None:
    assert verdict.status == "skipped"


def test_sums_are_skipped() -> None:
    assert judge([50, 10], site=replace(SITE, settings={"reduction": "sum"})).status == "skipped"


def test_loss_that_was_not_found_is_inconclusive() -> None:
    assert verdict_of("L11", run_of(SITE, CALL)).status == "inconclusive"
