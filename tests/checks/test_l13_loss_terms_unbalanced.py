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


def test_few_looks_are_inconclusive() -> None:
    assert verdict((0.001,) * 4, (1.0,) * 4).status == "inconclusive"
    assert verdict_of("L13", run_of(*SITES, *TERMS)).status == "inconclusive"
