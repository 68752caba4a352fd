"""Inverted loss masks (L09), weak fills (C20), text cut across (C32), turned channels (D04), blocks of one class (D06)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from flightcheck.checks.data._channel_order import turned_channels
from flightcheck.recording.attention import WeakFill
from flightcheck.recording.loss_masks import LossMask
from flightcheck.recording.loss_records import LossSite, TargetShift
from flightcheck.recording.records import Location
from flightcheck.recording.rewriting import statement_at
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches, losses

LINE = Location("train.py", 44, "loss", "mask = tokens.eq(PAD).float()")
MASK = LossMask(Location("train.py", 46), LINE, calls=8, padding=8, share=0.4)
FILL = WeakFill(Location("train.py", 30), 1e-9, calls=8, reached=8, share=0.8)
ACROSS = TargetShift(0, 0, 1, 300, 1.0, stream=20, stream_location=Location("train.py", 25))


def test_a_mask_that_keeps_the_padding_alone() -> None:
    (finding,) = verdict_of("L09", run_of(MASK, steps=60)).findings
    assert (finding.location, finding.patch) == (LINE, "source:complement:train.py:44")
    assert not verdict_of("L09", run_of(replace(MASK, padding=0), steps=60)).findings
    other = replace(MASK, location=Location("train.py", 47), padding=0)
    assert not verdict_of("L09", run_of(MASK, other, steps=60)).findings, "another term keeps the tokens"


def test_scores_that_are_masked_with_almost_nothing() -> None:
    (finding,) = verdict_of("C20", run_of(FILL, steps=60)).findings
    assert finding.patch == "mask:fill:train.py:30"
    assert not verdict_of("C20", run_of(replace(FILL, reached=0), steps=60)).findings


def test_text_that_is_cut_into_columns() -> None:
    site = LossSite(0, "cross_entropy", Location("train.py", 60))
    told = [replace(ACROSS, step=i) for i in range(4)]
    (finding,) = verdict_of("C32", run_of(site, *told, steps=60)).findings
    assert finding.patch == "axes:stream:train.py:25"
    assert not verdict_of("C32", run_of(site, *(replace(s, stream=0) for s in told), steps=60)).findings


@pytest.mark.parametrize(("evaluation", "told"), [(-0.5, True), (0.5, False), (-0.1, False)])
def test_channels_that_are_turned_round(evaluation: float, told: bool) -> None:
    rng = np.random.default_rng(0)
    sides = [
        [
            replace(b, colour_contrast=mean + 0.1 * rng.normal(), rows=[100 * b.step + k for k in range(64)])
            for b in side
        ]
        for side, mean in ((batches(20), 0.5), (batches(6), evaluation))
    ]
    assert (turned_channels(*sides) is not None) == told


@pytest.mark.parametrize(("code", "told"), [("x[i : i + 40]", True), ("x[rows]", False)])
def test_blocks_of_one_class_in_random_order(code: str, told: bool) -> None:
    order = np.random.default_rng(0).permutation(40)
    calls = [
        losses([2.0], label_counts=np.bincount([k % 8] * 40, minlength=8).tolist(), target_shape=[40], step=i)[0]
        for i, k in enumerate(order)
    ]
    given = [batches(1, shape=[40, 8], step=i, order_origin=Location("train.py", 39, "", code))[0] for i in range(40)]
    site = LossSite(0, "cross_entropy", Location("train.py", 50))
    assert bool(verdict_of("D06", run_of(site, *given, *calls)).findings) == told


@pytest.mark.parametrize(
    ("code", "new"),
    [
        ("labels[m] = -100", "labels[~m] = -100"),
        ("labels[~m] = -100", "labels[m] = -100"),
        ("mask = x == 0", "mask = x != 0"),
        ("mask = x.eq(0).float()", "mask = x.ne(0).float()"),
        ("y = y.masked_fill(m, 0)", "y = y.masked_fill(~m, 0)"),
        ("y = x + 1", ""),
    ],
)
def test_the_other_elements(code: str, new: str) -> None:
    assert statement_at(f"{code}\n", "complement", 1) == new


def test_batches_that_begin_at_their_own_row() -> None:
    source = "for k in range(0, n, 50):\n    rows = order[:50]\n    step(x[rows])\n"
    assert statement_at(source, "begin", 1) == "rows = order[k:k + 50]"
