"""D10 class-imbalance-untreated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location
from flightcheck.recording.samplers import SamplerInfo
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
    assert finding.patch == "loss:balanced=330,310"
    assert finding.severity is None
    assert finding.location == SITE.location
    weights = Location("train.py", 3)
    (finding,) = run([33, 31], SAMPLED, site=replace(WEIGHTED, weight_origin=weights)).findings
    assert finding.location == weights


def test_nothing_is_done_about_it() -> None:
    (finding,) = run([60, 4], train_set()).findings
    assert finding.patch == "", "weights that balance win by the measure of balance: nothing would be shown"
    assert finding.severity == "info"


@pytest.mark.parametrize(("positive", "told"), [(2 / 64, True), (20 / 64, False)])
def test_a_yes_or_no_is_counted_without_weights(positive: float, told: bool) -> None:
    made = replace(SITE, function="binary_cross_entropy_with_logits")
    calls = losses([0.1] * 40, every=1, target_shape=[64], target_binary=True, target_mean=positive)
    verdict = verdict_of("D10", run_of(made, *LOADERS, *calls, *batches(40, shape=[64, 20])))
    assert [f.severity for f in verdict.findings] == (["info"] if told else [])


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


def weighted(*weights: float, function: str = "cross_entropy") -> LossSite:
    settings = {
        "weighted": True,
        "weight_ratio": max(weights) / max(min(weights), 0.01),
        "class_weights": list(weights),
    }
    return LossSite(0, function, Location("train.py", 50), settings, weight_origin=Location("train.py", 41))


@pytest.mark.parametrize(
    ("counts", "weights"),
    [([60, 4], (0.94, 0.06)), ([60, 4], (60.0, 4.0)), ([40, 16, 8], (0.6, 0.26, 0.13)), ([90, 0, 8], (0.7, 9.0, 0.1))],
)
def test_weights_that_follow_the_counts_deepen_the_imbalance(counts: list[int], weights: tuple[float, ...]) -> None:
    (finding,) = run(counts, train_set(), site=weighted(*weights)).findings
    assert finding.severity is None
    assert finding.location == Location("train.py", 41)
    assert "the weights follow the counts, not their inverse" in finding.message
    assert finding.patch == "loss:balanced=" + ",".join(str(10 * n) for n in counts)


@pytest.mark.parametrize(
    ("counts", "weights"),
    [
        ([60, 4], (0.53, 8.0)),
        ([60, 4], (1.0, 0.0)),
        ([60, 4], (2.0, 1.0)),
        ([32, 32], (9.0, 1.0)),
        ([40, 14, 10], (0.1, 9.0, 1.0)),
        ([40, 16, 8], (3.0, 0.5, 8.0)),
    ],
    ids=["inverse", "one class left out", "hardly", "balanced", "costs", "costs that follow nothing"],
)
def test_weights_of_other_kinds_pass(counts: list[int], weights: tuple[float, ...]) -> None:
    assert run(counts, train_set(), site=weighted(*weights)).status == "pass"


@pytest.mark.parametrize(("weight", "found"), [(0.1, 1), (12.0, 0)])
def test_the_weight_of_a_rare_positive_class(weight: float, found: int) -> None:
    calls = losses([0.5] * 10, every=1, target_shape=[64, 1], target_binary=True, target_mean=0.07)
    site = weighted(1.0, weight, function="binary_cross_entropy_with_logits")
    verdict = verdict_of("D10", run_of(site, *LOADERS, *calls, *batches(10, shape=[64, 20]), train_set()))
    assert len(verdict.findings) == found


SAMPLER = SamplerInfo(
    0, "WeightedRandomSampler", 1000, 1000, 1000, Location("train.py", 11), class_counts=[900, 80, 20],
    class_weights=[0.9, 0.08, 0.02], weight_origin=Location("train.py", 10),
)  # fmt: skip
EXAMPLES = train_set(sampler="WeightedRandomSampler", sampler_weight_ratio=45.0)


@pytest.mark.parametrize(
    ("weights", "misplaced", "told"),
    [
        ([0.9, 0.08, 0.02], 0.0, "follow the counts, not their inverse, so that the one is drawn 2025 times"),
        ([900**0.5, 80**0.5, 20**0.5], 0.0, "follow the counts"),
        ([1 / 20, 1 / 80, 1 / 900], 0.0, "but not of these classes, so that the classes are drawn up to 2025 times"),
        (None, 0.37, "37% of the examples have the weight of another class"),
    ],
)
def test_a_sampler_that_makes_rare_classes_rarer(weights: list[float] | None, misplaced: float, told: str) -> None:
    sampler = replace(SAMPLER, class_weights=weights, misplaced=misplaced)
    verdict = run([62, 1, 1], EXAMPLES, sampler, replace(sampler, source=1))
    (finding,) = verdict.findings
    assert told in finding.message and finding.severity is None
    assert finding.location == Location("train.py", 10)
    assert finding.patch == "sampler:balanced"


@pytest.mark.parametrize(
    "other",
    [
        {"class_weights": [1 / 900, 1 / 80, 1 / 20]},
        {"class_weights": [900**-0.5, 80**-0.5, 20**-0.5]},
        {"class_weights": [1.0, 0.5, 0.1]},
        {"class_weights": [1.0, 1.0, 0.0]},
        {"class_weights": [1.0, 1.0, 1.0]},
        {"class_counts": [400, 300, 300], "class_weights": [0.4, 0.3, 0.3]},
        {"class_counts": None, "class_weights": None},
        {"class_weights": None},
        {"class_counts": [40, 4], "class_weights": [40.0, 4.0]},
        {"source": 7},
    ],
    ids=["inverse", "root", "costs", "left out", "even", "even classes", "unknown", "groups", "few", "another loader"],
)
def test_samplers_of_other_kinds_pass(other: dict[str, Any]) -> None:
    assert run([33, 31], EXAMPLES, replace(SAMPLER, **other)).status == "pass"


def test_few_labels_are_inconclusive() -> None:
    assert run([6, 4]).status == "inconclusive"
    assert run([0, 64]).status == "inconclusive"


def test_tokens_are_no_examples() -> None:
    assert run([60, 4], examples=8).status == "inconclusive"


def test_without_labels_it_is_skipped() -> None:
    assert verdict_of("D10", run_of(SITE, *losses([0.5] * 10))).status == "skipped"


def test_a_trial_by_the_script_s_own_measure_makes_it_a_warning() -> None:
    def proof(patch: str, status: str = "confirmed") -> Any:
        return Experiment("D10", patch, status=status, metric="printed balanced accuracy", before=0.52, after=0.9)

    (finding,) = run([60, 4], train_set(), proof("loss:balanced=600,40")).findings
    assert (finding.severity, finding.patch) == ("warn", "loss:balanced=600,40")
    assert "own balanced accuracy is 0.52, and 0.9 where" in finding.message
    for other in (proof("loss:balanced=1,1"), proof("loss:balanced=600,40", "inconclusive")):
        assert [f.severity for f in run([60, 4], train_set(), other).findings] == ["info"]


SHARES = [0.05, 0.1, 0.2]
ODDS = [s / (1 - s) for s in SHARES]


@pytest.mark.parametrize(
    ("weights", "told"),
    [
        (ODDS, True), ([1.3 * w for w in ODDS], True), ([1 / w for w in ODDS], False), ([1.0, 1.0, 1.0], False),
        ([0.06, 3.0, 0.3], False), ([0.1, 0.1, 0.1], False), ([], False),
    ],
)  # fmt: skip
def test_the_odds_of_several_labels_as_weights_of_their_positives(weights: list[float], told: bool) -> None:
    settings = {"weighted": True, "class_weights": weights}
    site = replace(SITE, function="binary_cross_entropy_with_logits", settings=settings)
    shares = SHARES if weights else None
    calls = losses([0.3] * 12, every=1, target_shape=[64, 3], target_binary=True, target_mean=0.1, label_shares=shares)
    found = verdict_of("D10", run_of(site, *LOADERS, *calls, *batches(12, shape=[64, 20]))).findings
    assert [f.patch for f in found] == ["loss:turned"] * told
