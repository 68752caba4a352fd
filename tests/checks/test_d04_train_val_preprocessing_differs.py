"""D04 train-val-preprocessing-differs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from flightcheck.recording.batches import AwaitedBatch, Batch
from flightcheck.recording.data_files import DataFile
from flightcheck.recording.records import Location, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, ORIGIN, batches

RAW = Location("train.py", 12, "", "X_val = torch.tensor(X_val)")
QUANTILES = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)


def facts(x: Any) -> dict[str, Any]:
    """What the adapter records of a batch."""
    columns = x.transpose(1, 0, *range(2, x.ndim)).reshape(x.shape[1], -1)
    return {
        "shape": list(x.shape),
        "minimum": float(x.min()),
        "maximum": float(x.max()),
        "quantiles": np.quantile(x, QUANTILES).tolist(),
        "feature_means": columns.mean(1).tolist(),
        "feature_stds": columns.std(1).tolist(),
    }


def pictures(seed: int, rows: int = 64) -> Any:
    rng = np.random.default_rng(seed)
    return np.clip(rng.normal(0.4, 0.4, (rows, 3, 8, 8)), 0, 1)


def table(seed: int, rows: int = 64) -> Any:
    return np.random.default_rng(seed).normal(0, 1, (rows, 12))


def sides(train: list[Any], held_out: list[Any]) -> list[Batch]:
    one = [b for i, x in enumerate(train) for b in batches(1, step=i, digest=f"t{i}", rows=[i + 1], **facts(x))]
    other = [
        b
        for i, x in enumerate(held_out)
        for b in batches(1, step=9, digest=f"v{i}", training=False, origin=RAW, rows=[i + 1001], **facts(x))
    ]
    return one + other


def run(train: list[Any], held_out: list[Any], *records: Any) -> Any:
    return verdict_of("D04", run_of(LINEAR, *sides(train, held_out), *records))


IMAGES = [pictures(i) for i in range(8)]
TABLES = [table(i) for i in range(8)]
WIDE = np.linspace(1, 400, 12)
LOUD = [x * 10 ** np.random.default_rng(i).uniform(-1, 1.5, (64, 1)) for i, x in enumerate(TABLES)]
"""Each example has a loudness of its own."""


def test_pixels_that_are_not_divided() -> None:
    (finding,) = run(IMAGES, [255 * pictures(20), 255 * pictures(21)]).findings
    assert "factor 255" in finding.message
    assert finding.location == RAW


def test_a_line_that_prepares_both_sides_is_not_where_they_part() -> None:
    asked = Location("train.py", 30, "", "x = standardised(table)")
    sides_ = [
        dataclasses.replace(b, origin=ORIGIN, request=None if b.training else asked)
        for b in sides(TABLES, [table(20) * WIDE + 5 * WIDE])
    ]
    (finding,) = verdict_of("D04", run_of(LINEAR, *sides_)).findings
    assert finding.location == asked


def test_the_only_line_that_scales_is_where_both_sides_part() -> None:
    scaling = Location("train.py", 11, "", "x_fit = scaler.fit_transform(x_fit)")
    sides_ = [dataclasses.replace(b, origin=ORIGIN) for b in sides(TABLES, [table(20) * WIDE + 5 * WIDE])]
    file = DataFile(0, ORIGIN.file, scaling=scaling)
    (finding,) = verdict_of("D04", run_of(LINEAR, *sides_, file)).findings
    assert finding.location == scaling
    (finding,) = run(TABLES, [table(20) * WIDE + 5 * WIDE]).findings
    assert finding.location == RAW, "each side has a line of its own"


def test_training_pixels_that_are_not_divided() -> None:
    (finding,) = run([255 * x for x in IMAGES], [pictures(20)]).findings
    assert finding.location == ORIGIN


def test_images_that_are_normalized_on_one_side() -> None:
    (finding,) = run([2 * x - 1 for x in IMAGES], [pictures(20)]).findings
    assert "between -1 and 1" in finding.message


def test_features_that_are_standardized_in_training_only() -> None:
    (finding,) = run(TABLES, [table(20) * WIDE + 5 * WIDE]).findings
    assert "standardized in training but not in evaluation" in finding.message
    assert finding.location == RAW


def test_features_that_are_standardized_in_evaluation_only() -> None:
    (finding,) = run([x * WIDE + 5 * WIDE for x in TABLES], [table(20)]).findings
    assert finding.location == ORIGIN


SPECTRA = [np.random.default_rng(i).gamma(2.0, 1.0, (64, 24)) for i in range(8)]
HELD_OUT = [np.random.default_rng(i).gamma(2.0, 1.0, (64, 24)) for i in (20, 21, 22)]
BY_CLASS = [x * (0.5 + 0.25 * (i % 3)) for i, x in enumerate(SPECTRA)]
"""Batches sorted by class: each has a size of its own."""


@pytest.mark.parametrize("train", [SPECTRA, BY_CLASS], ids=["mixed", "sorted by class"])
@pytest.mark.parametrize(
    "change", [lambda x: 10 * x, lambda x: x / 20 - 3, lambda x: x + 40], ids=["x10", "both", "+40"]
)
def test_evaluation_on_another_scale(train: list[Any], change: Any) -> None:
    held_out = HELD_OUT if train is SPECTRA else [x * f for x, f in zip(HELD_OUT, (0.5, 0.75, 1.0))]
    (finding,) = run(train, [change(x) for x in held_out]).findings
    assert "distributed as those of training times" in finding.message
    assert finding.location == RAW


def test_a_single_batch_of_one_class_on_another_scale() -> None:
    assert run(BY_CLASS, [40 + 2 * HELD_OUT[0]]).status == "fail"


@pytest.mark.parametrize(
    "held_out",
    [
        [1.5 * x + 0.5 for x in HELD_OUT],  # a shift of the world
        [2.5 * x for x in HELD_OUT],
        [x**3 for x in HELD_OUT],  # another distribution
        [10 * HELD_OUT[0], HELD_OUT[1], HELD_OUT[2]],  # a test of robustness beside a clean evaluation
    ],
    ids=["moderate", "spread", "another kind", "clean beside"],
)
def test_moderate_shifts_pass(held_out: list[Any]) -> None:
    assert run(SPECTRA, held_out).status == "pass"


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        (IMAGES, [pictures(20)]),
        (TABLES, [table(20)]),
        (TABLES, [table(20) + 1.5]),
        (TABLES, [table(20) * 2]),
        (TABLES, [table(20), 8 * table(21)]),
        ([x * WIDE for x in TABLES], [5 * table(20) * WIDE]),
        ([x + 0.3 * np.random.default_rng(3).normal(size=x.shape) for x in IMAGES], [pictures(20)]),
        ([np.random.default_rng(i).uniform(-1, 1, (64, 2)) for i in range(8)], [np.linspace(-9, 9, 200).reshape(-1, 2)]),
        (IMAGES, [np.ones((64, 3, 8, 8)) * 0.5]),
        (LOUD, [table(20)]),
    ],
    ids=["images", "table", "shift", "spread", "noise beside", "unscaled", "augmentation", "grid", "grey", "loudness"],
)  # fmt: skip
def test_healthy_evaluations_pass(train: list[Any], held_out: list[Any]) -> None:
    assert run(train, held_out).status == "pass"


def test_too_little_is_inconclusive() -> None:
    assert run(TABLES[:2], [table(20)]).status == "inconclusive"
    assert run(TABLES, []).status == "inconclusive"


def test_training_data_evaluated_again_are_no_evidence() -> None:
    again = batches(1, step=9, training=False, **facts(255 * pictures(1)), rows=[1, 2, 3, 4])
    assert verdict_of("D04", run_of(LINEAR, *sides(IMAGES, []), *again)).status == "inconclusive"


@pytest.mark.parametrize("regime", ["gan", "reinforcement", "second-order"])
def test_other_regimes_are_skipped(regime: str) -> None:
    assert run(IMAGES, [255 * pictures(20)], Plan(regimes=[regime])).status == "skipped"


SCALED = Location("train.py", 10, "", "X_train = (X_train - mean) / std")
BEHIND = Location("train.py", 60, "", "score(X_test)")


def awaited(x: Any, left_out: Location | None = SCALED, **changes: Any) -> AwaitedBatch:
    """A tensor that the model is given behind the loop, in other hands than the watch's."""
    (like,) = batches(1, training=False, location=BEHIND, rows=[2001], **facts(x))
    fields = {f.name: getattr(like, f.name) for f in dataclasses.fields(like)}
    return AwaitedBatch(**fields | {"name": "X_test", "left_out": left_out} | changes)


def test_a_test_set_behind_the_loop_that_misses_a_step() -> None:
    raw = table(20) * WIDE + 5 * WIDE
    (finding,) = run(TABLES, [table(21)], awaited(raw)).findings  # the validation set is right
    assert "X_test in train.py:60" in finding.message
    assert finding.location == SCALED
    (finding,) = run(TABLES, [], awaited(raw)).findings
    assert finding.location == SCALED


@pytest.mark.parametrize(
    "one",
    [
        awaited(table(20) * WIDE + 5 * WIDE, None),
        awaited(table(20)),
        awaited(1.5 * table(20) + 0.5),
        awaited(table(20) * WIDE + 5 * WIDE, rows=[1, 2, 3]),
        awaited(table(20, rows=16) * WIDE + 5 * WIDE),
    ],
    ids=["the source does not say so", "the same numbers", "a shift", "examples of the training", "few rows"],
)
def test_a_test_set_behind_the_loop_that_may_be_right(one: AwaitedBatch) -> None:
    assert run(TABLES, [table(21)], one).status == "pass"
