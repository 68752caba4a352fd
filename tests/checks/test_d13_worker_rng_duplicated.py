"""D13 worker-rng-duplicated."""

from __future__ import annotations

from typing import Any

import pytest

from flightcheck.testing import run_of, verdict_of
from tests.checks._datasets import LOADERS, TRAIN_LINE, train_set, val_set

COPIED = {"workers": 2, "copied_generators": ["rng"]}


def run(*records: Any) -> Any:
    return verdict_of("D13", run_of(*LOADERS, *records))


def test_a_generator_that_every_worker_copies() -> None:
    (finding,) = run(train_set(**COPIED)).findings
    assert "`rng`" in finding.message
    assert finding.location == TRAIN_LINE


def test_one_worker_begins_anew_in_every_epoch() -> None:
    (finding,) = run(train_set(**{**COPIED, "workers": 1})).findings
    assert "every epoch" in finding.message


def test_a_constant_seed_for_all_workers() -> None:
    (finding,) = run(train_set(workers=4, worker_init=True, same_worker_seed=True)).findings
    assert "same seed" in finding.message


@pytest.mark.parametrize(
    "facts",
    [
        {"workers": 2},
        {**COPIED, "worker_init": True},
        {**COPIED, "workers": 1, "persistent": True},
    ],
    ids=["no generator", "renewed by the worker", "one worker that lives on"],
)
def test_healthy_loaders_pass(facts: dict[str, Any]) -> None:
    assert run(train_set(**facts)).status == "pass"


def test_without_workers_it_is_skipped() -> None:
    assert run(train_set(copied_generators=["rng"])).status == "skipped"
    assert run(train_set(), val_set(**COPIED)).status == "skipped"
