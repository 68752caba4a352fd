"""D10 class-imbalance-untreated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import batches, losses
from tests.checks._datasets import LOADERS, train_set

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
WEIGHTED = replace(SITE, settings={"weighted": True, "weight_ratio": 14.0})
SAMPLED = train_set(sampler="WeightedRandomSampler", sampler_weight_ratio=14.0)


def run(counts: list[int], *records: Any, site: LossSite = SITE, examples: int = 0) -> Any:
    calls = losses([0.5] * 10, every=1, label_counts=counts, target_shape=[sum(counts)])
    inputs = batches(10, shape=[examples or sum(counts), 20])
    return verdict_of("D10", run_of(site, *LOADERS, *calls, *inputs, *records))


def test_sampler_and_weights_together() -> None:
    (finding,) = run([33, 31], SAMPLED, site=WEIGHTED).findings
    assert finding.severity is None
    assert finding.location == SITE.location


def test_nothing_is_done_about_it() -> None:
    (finding,) = run([60, 4], train_set()).findings
    assert finding.severity == "info"


@pytest.mark.parametrize(
    ("counts", "dataset", "site"),
    [
        ([33, 31], train_set(), SITE),
        ([60, 4], train_set(), WEIGHTED),
        ([33, 31], SAMPLED, SITE),
        ([60, 4], SAMPLED, SITE),
        ([40, 24], train_set(), WEIGHTED),
    ],
    ids=["balanced", "weights", "sampler", "sampler for something else", "weights without sampler"],
)
def test_healthy_trainings_pass(counts: list[int], dataset: Any, site: LossSite) -> None:
    assert run(counts, dataset, site=site).status == "pass"


def test_few_labels_are_inconclusive() -> None:
    assert run([6, 4]).status == "inconclusive"
    assert run([0, 64]).status == "inconclusive"


def test_tokens_are_no_examples() -> None:
    assert run([60, 4], examples=8).status == "inconclusive"


def test_without_labels_it_is_skipped() -> None:
    assert verdict_of("D10", run_of(SITE, *losses([0.5] * 10))).status == "skipped"
