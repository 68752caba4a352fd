"""D04 train-val-preprocessing-differs, where an evaluation is standardized with its own mean and spread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import LINEAR, batches
from tests.checks.test_d04_train_val_preprocessing_differs import facts

TRAIN = Location("train.py", 10, "", "X = scaler.fit_transform(np.concatenate([s.x for s in known]))")
EVAL = Location("train.py", 30, "test", "z = torch.from_numpy(scaler.fit_transform(x))")
APPLIED = Location("train.py", 30, "test", "z = torch.from_numpy(scaler.transform(x))")


def table(seed: int, rows: int = 64, features: int = 6) -> Any:
    return np.random.default_rng(seed).normal(0.1, 1.1, (rows, features))


def own(x: Any, ddof: int = 0) -> Any:
    return (x - x.mean(0)) / x.std(0, ddof=ddof)


def run(
    train: list[Any], held_out: list[Any], *, origin: Any = EVAL, trained: Any = TRAIN, again: bool = True,
    known: bool = False, distinct: int = 400, first: Any = LINEAR, calls: tuple[Any, Any] = (None, None),
) -> Verdict:  # fmt: skip
    """Two passes over the training's batches (with other values in the second if not `again`), one evaluation."""
    records = []
    for step in range(2 * len(train)):
        part = step % len(train)
        start = 1 + 64 * (part if again else step)
        hashes = list(range(start, start + 64))
        records += batches(
            1,
            step=step,
            digest=f"t{part}",
            rows=hashes,
            origin=trained,
            distinct=400,
            made_at=calls[0],
            **facts(train[part]),
        )
    for i, x in enumerate(held_out):
        hashes = list(range(1, 65)) if known else list(range(10**6 * (i + 1), 10**6 * (i + 1) + min(256, len(x))))
        place = {
            "step": 40,
            "digest": f"v{i}",
            "rows": hashes,
            "origin": origin,
            "distinct": distinct,
            "made_at": calls[1],
        }
        records += batches(1, training=False, **place, **facts(x))
    return verdict_of("D04", run_of(first, *records))


TABLES = [table(i) for i in range(6)]


@pytest.mark.parametrize("ddof", [0, 1])
def test_each_site_by_itself(ddof: int) -> None:
    (finding,) = run(TABLES, [own(table(20), ddof), own(table(21, 40), ddof)]).findings
    assert finding.location == EVAL
    assert finding.severity == "warn"
    assert "in each of 2 calls" in finding.message


def test_a_whole_test_set_in_batches() -> None:
    whole = own(table(20, 160))
    (finding,) = run(TABLES, [whole[:64], whole[64:128], whole[128:]]).findings
    assert finding.evidence["rows"] == 160


def test_columns_of_categories_may_be_left_as_they_are() -> None:
    x = own(table(20))
    x[:, :2] = x[:, :2] > 0.3
    assert run(TABLES, [x]).status == "fail"
    x[:, :4] = x[:, :4] > 0.3
    assert run(TABLES, [x]).status == "pass"


@pytest.mark.parametrize(
    ("train", "held_out"),
    [
        (TRAIN, TRAIN),
        (TRAIN, None),
        (TRAIN, Location("train.py", 30, "", "X_test = np.load('test.npy')")),
        (Location("train.py", 9, "", "parts.append(scaler.fit_transform(s))"), EVAL),
        (Location("train.py", 9, "", "X = np.concatenate([zscore(s) for s in known])"), EVAL),
    ],
    ids=["one line", "unknown", "loaded", "groups in a loop", "groups"],
)
def test_where_it_may_be_meant_it_is_information(train: Any, held_out: Any) -> None:
    (finding,) = run(TABLES, [own(table(20))], trained=train, origin=held_out).findings
    assert finding.severity == "info"
    assert "group by group" in finding.message


BALANCED = np.array([[(i >> k & 1) * 2.0 - 1 for k in range(6)] for i in range(64)])


@pytest.mark.parametrize(
    ("train", "held_out", "changes"),
    [
        (TABLES, [table(20)], {"origin": APPLIED}),
        (TABLES, [own(table(20)) + 0.001], {}),
        (TABLES, [own(table(1))], {"known": True}),
        ([own(x) for x in TABLES], [own(table(20))], {}),
        (TABLES, [BALANCED], {"distinct": 2}),
        (TABLES, [own(table(20))], {"again": False}),
        (TABLES, [own(table(20))], {"first": ModuleInfo(0, "m.0", "BatchNorm1d", "batchnorm", 0, order=0)}),
        (TABLES, [own(table(20).T).T], {}),
        ([x[:, :1] for x in TABLES], [own(table(20)[:, :1])], {}),
        (TABLES, [own(table(20, 60_000))], {}),
    ],
    ids=[
        "its own", "nearly", "training set", "batches", "codes", "augmented", "norm first", "rows", "one feature",
        "as large as an unknown training set",
    ],
)  # fmt: skip
def test_silent(train: list[Any], held_out: list[Any], changes: Any) -> None:
    assert run(train, held_out, **changes).status != "fail"


FUNCTION = Location("train.py", 50, "standardize", "return (table - table.mean(0)) / table.std(0)")
CALLS = (Location("train.py", 61, "", "a = standardize(known)"), Location("train.py", 62, "", "b = standardize(new)"))


def test_one_function_called_for_the_training_set_and_again_for_the_test_set() -> None:
    (finding,) = run(TABLES, [own(table(20))], trained=FUNCTION, origin=FUNCTION, calls=CALLS).findings
    assert (finding.severity, finding.location) == ("warn", CALLS[1])


def test_one_function_called_for_each_of_several_groups_is_information() -> None:
    for calls in ((CALLS[0], CALLS[0]), (None, None), (CALLS[0], None)):
        (finding,) = run(TABLES, [own(table(20))], trained=FUNCTION, origin=FUNCTION, calls=calls).findings
        assert finding.severity == "info"
