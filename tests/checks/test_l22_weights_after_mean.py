"""L22 weights-after-mean."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossSite, LossTerm
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

SITE = LossSite(0, "mse_loss", line(26))
TERM = LossTerm(0, 1, line(30), "MseLossBackward0", line(26), 0, None, weights_after=[32], weights_location=line(27))
PLAIN = replace(TERM, weights_after=[], weights_location=None)


def verdict(*terms: LossTerm, steps: int = 8) -> Verdict:
    each = [replace(t, step=i, backward=i) for i, t in enumerate(terms)]
    return verdict_of("L22", run_of(SITE, *each, steps=steps))


def test_weights_after_the_mean_fail_where_they_multiply() -> None:
    (finding,) = verdict(*[TERM] * 4).findings
    assert finding.location == line(27)
    assert finding.patch == "loss:none:train.py:26"


def test_batches_with_equal_weights_between_them_do_not_matter() -> None:
    assert verdict(TERM, PLAIN, TERM, TERM).status == "fail"


def test_one_batch_passes() -> None:
    assert verdict(TERM, *[PLAIN] * 7).status == "pass"
    assert verdict(*[PLAIN] * 4).status == "pass"


def test_a_loss_of_the_scripts_own_has_no_patch() -> None:
    (finding,) = verdict(*[replace(TERM, site=-1)] * 4).findings
    assert finding.patch == ""


def test_two_passes_are_inconclusive() -> None:
    assert verdict(TERM, TERM, steps=2).status == "inconclusive"


def test_without_terms_it_is_skipped() -> None:
    assert verdict().status == "skipped"
