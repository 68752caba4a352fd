"""D02 constant-or-duplicate-feature."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from flightcheck.adapters.torch.features import alike_blanks, row_hashes
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import ORIGIN, batches, losses

SITE = LossSite(0, "cross_entropy", None)
TABLE = FeatureTable(0, "0", rows=800, distinct_rows=700, features=12)


def run(rows: list[int], *records: Any, target_std: float = 1.0, **changes: Any) -> Any:
    calls = losses([2.0] * 10, every=1, target_std=target_std)
    return verdict_of("D02", run_of(SITE, *calls, *batches(10, rows=rows, **changes), *records))


SAME, OTHERS = [5] * 64, list(range(1, 65))


@pytest.mark.parametrize(
    ("rows", "blanks"), [(SAME, 0), ([0] * 64, 64), ([5] * 40 + OTHERS[:24], 0)], ids=["all", "blank", "most"]
)
def test_one_example_again_and_again(rows: list[int], blanks: int) -> None:
    (finding,) = run(rows, alike_blanks=blanks).findings
    assert finding.severity is None
    assert finding.location == ORIGIN


@pytest.mark.parametrize(
    ("changes", "words"), [({"constant": [3]}, "never change"), ({"duplicates": [[1, 4, 5]]}, "2 repeat")]
)
def test_columns_without_information(changes: dict[str, Any], words: str) -> None:
    (finding,) = run(OTHERS, replace(TABLE, **changes)).findings
    assert words in finding.message
    assert finding.severity == "info"


def test_different_examples_pass() -> None:
    assert run(OTHERS, TABLE).status == "pass"
    assert run(OTHERS[:40] + SAME[:24]).status == "pass"
    assert run([0] * 64, alike_blanks=2).status == "pass", "each holds one value, and not all the same"


def test_blank_rows_are_alike_if_they_hold_the_same_value() -> None:
    rows = torch.tensor([0.5, 0.5, 0.25, 0.0])[:, None].expand(4, 9).clone()
    rows[3, 1] = 1.0
    assert [r == 0 for r in row_hashes(rows)] == [True, True, True, False]
    assert alike_blanks(rows) == 2


def test_equal_targets_or_few_values_are_inconclusive() -> None:
    assert run(SAME, target_std=0.0).status == "inconclusive"
    assert run(SAME, shape=[64, 2]).status == "inconclusive"
    assert run(OTHERS[:4], replace(TABLE, distinct_rows=90, constant=[1])).status == "inconclusive"


@pytest.mark.parametrize("regime", ["gan", "reinforcement", "second-order"])
def test_other_regimes_are_skipped(regime: str) -> None:
    assert run(SAME, Plan(regimes=[regime])).status == "skipped"


def test_examples_of_few_values_that_are_all_one_and_the_same() -> None:
    given = batches(10, shape=[64, 6], rows=[7] * 64)
    told = losses([0.6] * 10, every=1, target_std=0.5)
    assert len(verdict_of("D02", run_of(*given, *told)).findings) == 1
    other = [*given[:-1], replace(given[-1], rows=[7] * 63 + [8])]
    assert not verdict_of("D02", run_of(*other, *told)).findings
