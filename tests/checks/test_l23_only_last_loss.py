"""L23 only-last-loss."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.dropped_losses import DroppedLoss
from flightcheck.recording.loss_records import LossSite
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

SITE = LossSite(0, "cross_entropy", line(52))
DROPPED = DroppedLoss(0, line(52), "loss", 0, calls=20, rounds=8, dropped=8)


def verdict(found: DroppedLoss) -> Verdict:
    return verdict_of("L23", run_of(SITE, found, steps=8))


def test_losses_that_are_thrown_away_fail() -> None:
    (finding,) = verdict(DROPPED).findings
    assert finding.location == line(52)
    assert finding.patch == "loss:all:train.py:52"
    assert "19 are thrown away" in finding.message


def test_a_round_in_which_all_were_used_passes() -> None:
    assert verdict(replace(DROPPED, dropped=7)).status == "pass"


def test_two_rounds_are_inconclusive() -> None:
    assert verdict(replace(DROPPED, rounds=2, dropped=2)).status == "inconclusive"


def test_without_a_loss_it_is_skipped() -> None:
    assert verdict_of("L23", run_of()).status == "skipped"
