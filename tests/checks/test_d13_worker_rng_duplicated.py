"""D13 worker-rng-duplicated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from flightcheck.adapters.torch.datasets import constantly_seeded, copied_generators
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


class Noisy(list[int]):
    """Draws from a generator of its own and from NumPy's."""

    def __init__(self) -> None:
        super().__init__(range(8))
        self.rng = np.random.default_rng(0)
        self.split = np.random.default_rng(1)

    def __getitem__(self, i: Any) -> Any:
        return super().__getitem__(i) + self.rng.normal() + np.random.rand()


class Renewed(Noisy):
    """Makes its generator anew in every epoch."""

    def set_epoch(self, epoch: int) -> None:
        self.rng = np.random.default_rng(epoch)


def test_only_generators_that_examples_draw_from_count() -> None:
    assert copied_generators(Noisy()) == ["rng"]
    assert copied_generators(Renewed()) == []
    assert copied_generators([1, 2]) == []


def constant(worker: int) -> None:
    np.random.seed(0)


def by_worker(worker: int) -> None:
    np.random.seed(worker)


def by_torch(worker: int) -> None:
    np.random.seed(torch.initial_seed() % 2**32)


def of_another_library(worker: int) -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(
    ("function", "same"), [(constant, True), (by_worker, False), (by_torch, False), (of_another_library, False)]
)
def test_a_seed_is_constant_only_without_a_look_at_the_worker(function: Any, same: bool) -> None:
    data = Noisy()
    assert constantly_seeded(DataLoader(data, worker_init_fn=function), data) is same  # type: ignore[arg-type]
