"""D19 target-in-input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flightcheck.adapters.torch.features import copies_of
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.records import Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import ORIGIN, batches

TABLE = FeatureTable(0, "0", rows=600, distinct_rows=300, features=11, targets=600, copies=[10])


def run(table: FeatureTable, *records: Any) -> Any:
    return verdict_of("D19", run_of(*batches(3), table, *records))


def test_the_target_is_a_column() -> None:
    (finding,) = run(TABLE).findings
    assert "column 10 (of 11)" in finding.message
    assert finding.location == ORIGIN


@pytest.mark.parametrize("changes", [{"copies": []}, {"copies": [0, 1], "features": 3}], ids=["none", "nothing else"])
def test_other_tables_pass(changes: dict[str, Any]) -> None:
    assert run(replace(TABLE, **changes)).status == "pass"


@pytest.mark.parametrize("changes", [{"distinct_rows": 8}, {"targets": 20}], ids=["truth table", "few"])
def test_too_little_is_inconclusive(changes: dict[str, Any]) -> None:
    assert run(replace(TABLE, **changes)).status == "inconclusive"


def test_without_a_table_it_is_skipped() -> None:
    assert verdict_of("D19", run_of(*batches(3))).status == "skipped"


@pytest.mark.parametrize("regime", ["gan", "reinforcement", "second-order", "contrastive", "self-supervised"])
def test_other_regimes_are_skipped(regime: str) -> None:
    assert run(TABLE, Plan(regimes=[regime])).status == "skipped"


def features(seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=(300, 4))


def test_a_scaled_target_is_a_copy() -> None:
    x = features()
    y = np.sin(x[:, 0])
    x[:, 2] = (3 * y - 1).astype(np.float32)
    assert copies_of(x, y)["copies"] == [2]


def test_a_code_of_the_class_is_a_copy() -> None:
    x = features()
    y = np.arange(300) % 3
    x[:, 1] = np.array([5.0, -1.0, 2.0])[y]
    assert copies_of(x, y.astype(float))["copies"] == [1]


@pytest.mark.parametrize("kind", ["separated", "threshold", "linear", "one of three"])
def test_easy_tasks_hold_no_copy(kind: str) -> None:
    x = features()
    y = np.arange(300) % 2 * 1.0
    if kind == "separated":
        x += 20 * y[:, None]
    elif kind == "threshold":
        y = (x[:, 0] > 0) * 1.0
    elif kind == "linear":
        y = x @ np.array([5.0, 0.1, 0.0, 0.0])
    else:
        y = np.arange(300) % 3 * 1.0
        x[:, 0] = y == 1
    assert copies_of(x, y)["copies"] == []
