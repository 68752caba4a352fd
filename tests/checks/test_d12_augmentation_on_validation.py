"""D12 augmentation-on-validation."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.testing import run_of, verdict_of
from tests.checks._datasets import LOADERS, VAL_LINE, train_set, val_set


def run(*records: Any) -> Any:
    return verdict_of("D12", run_of(*LOADERS, *records))


def test_passes_that_differ() -> None:
    (finding,) = run(train_set(), val_set(passes_compared=2, inputs_changed=2)).findings
    assert finding.location == VAL_LINE


def test_a_random_transform_before_there_are_two_passes() -> None:
    (finding,) = run(train_set(shared=1), val_set(random_transforms=["RandomCrop"])).findings
    assert "RandomCrop" in finding.message
    assert "trained on" in finding.message


@pytest.mark.parametrize(
    "facts",
    [
        {"passes_compared": 3},
        {"passes_compared": 3, "inputs_changed": 1},
        {"passes_compared": 2, "inputs_changed": 2, "targets_changed": 1},
        {"passes_compared": 2, "random_transforms": ["RandomApply"]},
    ],
    ids=["equal", "one of three", "other targets", "a random transform that does nothing"],
)
def test_healthy_evaluations_pass(facts: dict[str, Any]) -> None:
    assert run(train_set(), val_set(**facts)).status == "pass"


def test_one_pass_is_inconclusive() -> None:
    assert run(train_set(), val_set()).status == "inconclusive"


def test_training_data_are_skipped() -> None:
    assert run(train_set(evaluated=True, passes_compared=2, inputs_changed=2)).status == "skipped"
