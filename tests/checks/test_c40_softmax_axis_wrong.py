"""C40 softmax-axis-wrong."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.checks.base import Verdict
from flightcheck.recording.normalized_axes import NormalizedAxis
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

PRODUCT = NormalizedAxis("product", line(30), 0, [64, 7, 7], 1, 2, line(31), calls=8, wrong=8)


def verdict(found: NormalizedAxis, steps: int = 8) -> Verdict:
    return verdict_of("C40", run_of(found, steps=steps))


def test_attention_that_is_normalized_over_the_queries_fails() -> None:
    (finding,) = verdict(PRODUCT).findings
    assert finding.location == line(30)
    assert finding.patch == "axes:softmax=-1:train.py:30"


def test_a_softmax_over_one_place_fails() -> None:
    (finding,) = verdict(replace(PRODUCT, kind="single", shape=[16, 9, 1], axis=2, added=-1, module=0)).findings
    assert finding.patch == "axes:softmax=-2:train.py:30"


def test_one_output_is_told_elsewhere() -> None:
    assert verdict(replace(PRODUCT, kind="single", shape=[16, 1], axis=1, added=-1, module=0)).status == "pass"


def test_vectors_of_no_length_fail_without_a_trial() -> None:
    (finding,) = verdict(replace(PRODUCT, kind="vectors", shape=[64, 16], axis=0, added=1)).findings
    assert finding.patch == ""


def test_one_right_call_passes() -> None:
    assert verdict(replace(PRODUCT, wrong=7)).status == "pass"


def test_one_call_is_inconclusive() -> None:
    assert verdict(replace(PRODUCT, calls=1, wrong=1), steps=1).status == "inconclusive"


def test_without_a_step_it_is_skipped() -> None:
    assert verdict_of("C40", run_of()).status == "skipped"
