"""D19 target-in-input."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flightcheck.adapters.torch.features import are_windows, copies_of
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.windows import WindowTable
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


LAST = Location("train.py", 51, "", "wanted = series[rows + n - 1]")
LOSS = Location("train.py", 52, "", "loss = mse(net(x), wanted)")
WINDOW = WindowTable(0, "0", LAST)
SITE = LossSite(0, "mse_loss", LOSS, {})


def test_the_last_number_of_the_window_is_the_target() -> None:
    (finding,) = run(replace(TABLE, site=0), WINDOW, SITE).findings
    assert "last of the 11 numbers of its own window" in finding.message
    assert finding.location == LAST and finding.patch == "source:later:train.py:51"


def test_another_number_of_the_window_is_told_without_a_trial() -> None:
    (finding,) = run(replace(TABLE, site=0, copies=[3]), WINDOW, SITE).findings
    assert "4th of the 11" in finding.message
    assert finding.location == LOSS and not finding.patch
    (finding,) = run(replace(TABLE, site=0), WindowTable(0, "0"), SITE).findings
    assert finding.location == LOSS and not finding.patch


@pytest.mark.parametrize("step", [1, 2, 24])
def test_windows_of_a_series_are_known(step: int) -> None:
    rng = np.random.default_rng(0)
    series = rng.normal(size=5000)
    rows = np.stack([series[i : i + 30] for i in range(0, 4900, step)])
    rows = rows[rng.permutation(len(rows))[: len(rows) // 2]]
    assert are_windows(rows)
    assert not are_windows(rng.normal(size=(400, 30)))
    assert not are_windows(np.eye(30)[rng.integers(0, 30, 400)])
    assert not are_windows(np.ones((400, 30)) * rng.integers(0, 9, (400, 1)))
