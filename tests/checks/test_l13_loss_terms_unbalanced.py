"""L13 loss-terms-unbalanced: a term without a say, terms that are meant to be small, and losses with one term."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.loss.l13_loss_terms_unbalanced import has_several_terms
from flightcheck.recording.experiments import Probe
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.records import Location, Plan
from flightcheck.testing import run_of, verdict_of

SITES = [LossSite(0, "cross_entropy", Location("train.py", 10)), LossSite(1, "mse_loss", Location("train.py", 11))]
TERMS = [
    LossTerm(0, 1, Location("train.py", 14), "NllLossBackward0", SITES[0].location, 0, 1.0, 1.1),
    LossTerm(0, 1, Location("train.py", 14), "MseLossBackward0", SITES[1].location, 1, 1000.0, 1.0),
]


def looks(shares: list[float], values: list[float]) -> list[dict[str, Any]]:
    return [
        {
            "step": 20 * i,
            "terms": [
                {"line": 10, "file": "train.py", "share": share, "value": value, "norm": share, "toward": share},
                {"line": 11, "file": "train.py", "share": 1 - share, "value": 0.5, "norm": 1, "toward": 1 - share},
            ],
        }
        for i, (share, value) in enumerate(zip(shares, values, strict=True))
    ]


def verdict(
    shares: tuple[float, ...] = (0.001,) * 6,
    values: tuple[float, ...] = (1.1, 1.0, 1.0, 0.9, 0.9, 0.8),
    terms: list[LossTerm] = TERMS,
    sites: list[LossSite] = SITES,
    others: tuple[Any, ...] = (),
) -> Verdict:
    probe = Probe("terms", {"looks": looks(list(shares), list(values))})
    return verdict_of("L13", run_of(probe, *sites, *terms, *others))


def test_a_term_without_a_say_is_told() -> None:
    (finding,) = verdict().findings
    assert finding.location == SITES[0].location
    assert finding.message.startswith("cross_entropy in line 10 makes 0.001 of the gradients on the shared weights, ")
    assert finding.severity == "info"
    assert "the term in line 11 100% (median of 6 steps)" in finding.message


def test_a_term_that_has_its_say_or_is_learned_passes() -> None:
    assert verdict((0.05,) * 6).status == "pass"
    assert verdict((0.001, 0.001, 0.05, 0.05, 0.05, 0.05)).status == "pass"
    assert verdict(values=(1.1, 0.5, 0.2, 0.1, 0.05, 0.04)).status == "pass"


def test_what_is_meant_to_be_small_passes() -> None:
    assert verdict(terms=[replace(TERMS[0], coefficient=1e-4), TERMS[1]]).status == "pass"


def test_two_predictions_and_penalties_are_no_terms_of_data() -> None:
    assert verdict(sites=[replace(SITES[0], function="kl_div"), SITES[1]]).status == "skipped"
    assert verdict(terms=[TERMS[0], replace(TERMS[1], penalty=True)]).status == "skipped"
    known: dict[str, Any] = dict.fromkeys(("value", "input_min", "input_max", "target_min", "target_max"), 0)
    shapes: dict[str, Any] = {"input_shape": [4], "target_shape": [4], "result_shape": []}
    call = LossCall(
        1, 0, True, input_dtype="float32", target_dtype="float32", target_requires_grad=True, **shapes, **known
    )
    assert verdict(others=(call,)).status == "skipped"
    assert not has_several_terms(run_of(*SITES, *TERMS, call))
    assert has_several_terms(run_of(*SITES, *TERMS))


@pytest.mark.parametrize("regime", ["gan", "reinforcement"])
def test_players_are_skipped(regime: str) -> None:
    assert verdict(others=(Plan(regimes=[regime]),)).status == "skipped"


MEAN = Location("train.py", 20, code="rec = F.mse_loss(out, x)")
SUM = Location("train.py", 21, code="kl = 0.5 * (mu**2 + lv.exp() - 1 - lv).sum(1).mean()")
SITE = LossSite(0, "mse_loss", MEAN)
LOSS = LossTerm(0, 1, None, "MseLossBackward0", MEAN, 0, 1.0, 0.9)
DIVERGENCE = LossTerm(0, 1, None, "SumBackward1", SUM, -1, 0.5 / 32, None, numel=32, averaged=[32])


def autoencoder(
    terms: tuple[LossTerm, ...] = (LOSS, DIVERGENCE),
    site: LossSite = SITE,
    spread: float = 0.05,
    shape: tuple[int, ...] = (32, 64),
    others: tuple[Any, ...] = (),
) -> Verdict:
    later = [replace(t, step=step, backward=step + 1) for step in range(1, 4) for t in terms]
    known: dict[str, Any] = dict.fromkeys(("value", "input_min", "input_max", "target_min", "target_max"), 0.0)
    calls = [
        LossCall(
            0, step, True, list(shape), list(shape), [], "float32", "float32",
            relative_spread=spread / 0.9, **known,
        )
        for step in range(0, 200, 10)
    ]  # fmt: skip
    return verdict_of("L13", run_of(site, *terms, *later, *calls, *others))


def test_a_mean_beside_a_sum_that_wins() -> None:
    (finding,) = autoencoder().findings
    assert finding.location == MEAN
    assert finding.severity is None
    assert finding.patch == "term:2@train.py:21 x0.0156"
    assert "the mean over the 64 values of an example and the term in line 21 is not" in finding.message
    assert "as much as 32 values, and in step 190 predictions differ between examples by 6%" in finding.message


def test_a_mean_by_hand_beside_a_divergence_in_three_parts() -> None:
    hand = replace(SITE, settings={"handmade": True, "reduction": "mean"})
    loss = replace(LOSS, operation="PowBackward0", site=-1, coefficient=1 / 2048, numel=2048, averaged=[32, 64])
    parts = [
        replace(DIVERGENCE, operation=op, coefficient=0.5 / 32, numel=32 * 4, averaged=[], summed=[32, 4])
        for op in ("PowBackward0", "ExpBackward0", "AddmmBackward0")
    ]
    (finding,) = autoencoder((loss, *parts), hand).findings
    assert finding.patch == "term:2@train.py:21 x0.0156"
    one_line = [replace(p, location=MEAN) for p in parts]
    assert autoencoder((loss, *one_line), hand).findings[0].patch == "term:2@train.py:20 x0.0156"


@pytest.mark.parametrize(
    ("settings", "change"),
    [
        ({"reduction": "sum"}, {"coefficient": 1 / 2048}),
        ({"reduction": "none"}, {"coefficient": 1 / 2048, "numel": 2048, "averaged": [32]}),
        ({"handmade": True, "reduction": "mean"}, {"site": -1, "coefficient": 1 / 32, "numel": 32, "averaged": [32]}),
    ],
    ids=["a sum over the size", "mean(1).mean()", "mean(1).mean() by hand"],
)
def test_other_ways_to_write_a_mean(settings: dict[str, Any], change: dict[str, Any]) -> None:
    (finding,) = autoencoder((replace(LOSS, **change), DIVERGENCE), replace(SITE, settings=settings)).findings
    assert finding.evidence["ratio"] == pytest.approx(32)
    summed = replace(LOSS, **change | {"coefficient": 1 / 32, "averaged": []})
    assert settings.get("handmade") or not autoencoder((summed, DIVERGENCE), replace(SITE, settings=settings)).findings


def test_predictions_that_differ_between_examples_are_no_collapse() -> None:
    assert autoencoder(spread=0.5).status == "skipped"
    assert autoencoder(spread=float("nan")).status == "skipped"


@pytest.mark.parametrize(
    "change",
    [
        {"coefficient": 0.01 / 32},  # a weight that makes up for the mean
        {"coefficient": None},
        {"penalty": True},
        {"site": 1},
        {"numel": 30},
    ],
    ids=["small", "unknown", "weights", "another loss", "of other examples"],
)
def test_terms_that_do_not_outweigh(change: dict[str, Any]) -> None:
    others = (LossSite(1, "cross_entropy", SUM),)
    assert not autoencoder((LOSS, replace(DIVERGENCE, **change)), others=others).findings


def test_a_divergence_that_a_schedule_raises_passes() -> None:
    later = replace(DIVERGENCE, step=4, backward=5, coefficient=0.6 / 32)
    assert autoencoder(others=(replace(LOSS, step=4, backward=5), later)).status == "skipped"


def test_losses_without_a_mean_over_many_values_pass() -> None:
    assert autoencoder(site=replace(SITE, settings={"reduction": "sum"})).status == "skipped"
    assert autoencoder(site=replace(SITE, function="cross_entropy")).status == "skipped"  # rows of classes, one each
    assert autoencoder(shape=(32, 4)).status == "skipped"
    assert autoencoder(shape=(32,)).status == "skipped"
    assert autoencoder((LOSS,)).status == "skipped"


def test_few_looks_are_inconclusive() -> None:
    assert verdict((0.001,) * 4, (1.0,) * 4).status == "inconclusive"
    assert verdict_of("L13", run_of(*SITES, *TERMS)).status == "inconclusive"
