"""D06 order-not-shuffled."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from flightcheck.recording.batches import Evaluation
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import LoaderInfo, Location, Plan
from flightcheck.recording.run import Run
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import ORIGIN, batches, losses

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
LOADER = LoaderInfo(
    0, Location("train.py", 20), length=25, batch_size=40, shuffle=False, examples=1000, used_in_training=True
)


def labels(order: str, classes: int = 10, n: int = 1000) -> npt.NDArray[np.int64]:
    rng = np.random.default_rng(0)
    ids = np.arange(n) * classes // n
    if order == "shuffled":
        return rng.permutation(ids)
    return ids


def run(y: Iterable[int], *records: Any, size: int = 40, epochs: int = 3, classes: int = 10) -> Run:
    y = np.concatenate([np.asarray(list(y))] * epochs)
    chunks = [y[i : i + size] for i in range(0, len(y), size)]
    calls = [
        losses([2.0], label_counts=np.bincount(c, minlength=classes).tolist(), target_shape=[len(c)], step=i)[0]
        for i, c in enumerate(chunks)
    ]
    inputs = [batches(1, shape=[len(c), 8], step=i)[0] for i, c in enumerate(chunks)]
    return run_of(SITE, *inputs, *calls, *records)


def test_sorted_loader_fails_at_the_loader() -> None:
    (finding,) = verdict_of("D06", run(labels("sorted"), LOADER)).findings
    assert finding.location == LOADER.location
    assert finding.severity is None
    assert finding.evidence["cramers_v"] > 0.7
    assert finding.patch == "shuffle:others", "no evaluation tells"
    told = Evaluation(40, 0, 3, None, loss_value=1.0)
    assert verdict_of("D06", run(labels("sorted"), LOADER, told)).findings[0].patch == "shuffle"


def test_sorted_hand_made_batches_fail_at_the_data() -> None:
    (finding,) = verdict_of("D06", run(labels("sorted", 3), classes=3)).findings
    assert finding.location == ORIGIN
    assert finding.patch == "", "no loader, whose order a trial could change"


def test_many_small_classes_sorted() -> None:
    (finding,) = verdict_of("D06", run(labels("sorted", 50), LOADER, classes=50)).findings
    assert finding.severity != "info"


def test_shuffled_passes() -> None:
    assert verdict_of("D06", run(labels("shuffled"))).status == "pass"


def test_unsorted_but_fixed_order_is_information() -> None:
    (finding,) = verdict_of("D06", run(labels("shuffled"), LOADER)).findings
    assert finding.severity == "info"


def test_random_sampler_is_skipped() -> None:
    chosen = LoaderInfo(0, Location("train.py", 20), length=25, batch_size=40, shuffle=True, used_in_training=True)
    assert verdict_of("D06", run(labels("sorted"), chosen)).status == "skipped"


def test_groups_of_classes_drawn_at_random_pass() -> None:
    """Batches of few classes with several examples of each, as in metric learning."""
    rng = np.random.default_rng(1)
    y = np.concatenate([np.repeat(rng.choice(50, 4, replace=False), 10) for _ in range(60)])
    assert verdict_of("D06", run(y, classes=50, epochs=1)).status == "pass"


def test_real_and_fake_in_turn_pass() -> None:
    y = np.concatenate([np.full(40, i % 2) for i in range(60)])
    assert verdict_of("D06", run(y, classes=2, epochs=1)).status == "pass"


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tiny_shuffled_batches_pass(size: int) -> None:
    assert verdict_of("D06", run(labels("shuffled"), size=size, epochs=1)).status == "pass"


def test_rare_classes_pass() -> None:
    rng = np.random.default_rng(2)
    y = rng.choice(10, 2000, p=[0.9, *[0.1 / 9] * 9])
    assert verdict_of("D06", run(y, epochs=1)).status == "pass"


def test_token_targets_are_not_judged() -> None:
    calls = [
        losses([2.0], label_counts=[640 if c == i // 10 else 0 for c in range(10)], target_shape=[640], step=i)[0]
        for i in range(60)
    ]
    verdict = verdict_of("D06", run_of(SITE, *batches(60, shape=[20, 32]), *calls))
    assert verdict.status == "inconclusive"


def test_regression_and_other_regimes_are_skipped() -> None:
    assert verdict_of("D06", run_of(SITE, *batches(20), *losses([1.0] * 20))).status == "skipped"
    assert verdict_of("D06", run(labels("sorted"), Plan(regimes=["gan"]))).status == "skipped"


def test_few_batches_are_inconclusive() -> None:
    assert verdict_of("D06", run(labels("sorted")[:200], epochs=1)).status == "inconclusive"


def test_steps_that_are_recorded_with_gaps_are_no_neighbours() -> None:
    """Sorted by label, 20 steps of each class: the first 64 steps one by one, then every ninth."""
    kept = [*range(64), *range(64, 600, 9)]
    step = {i: n for n, i in enumerate(kept)}
    whole = run(labels("sorted", 5, 4000), size=40, epochs=6, classes=5)
    records = [r for kind in (whole.batches, whole.loss_calls) for r in kind if r.step in step]
    (finding,) = verdict_of("D06", run_of(SITE, *records, LOADER)).findings
    assert finding.severity is None
    assert finding.evidence["lag_1"] > 0.9
