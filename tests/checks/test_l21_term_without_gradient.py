"""L21 term-without-gradient: loose terms, and those that say nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LooseTerm, LossTerm
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan
from flightcheck.testing import run_of, verdict_of

PARAMETERS = [
    ParameterInfo(0, "w", 0, [4, 4], "matrix", optimizers=[0]),
    ParameterInfo(1, "teacher", 1, [4, 4], "matrix"),
]
OPTIMIZER = OptimizerInfo(0, "SGD", parameters=[0], steps=20)
TERM = LossTerm(0, 1, None, "MseLossBackward0", Location("train.py", 10), 0, 1.0, 1.1)
LOOSE = LooseTerm(
    Location("train.py", 11), Location("train.py", 12), parameters=[0, 1], rounds=8, values=[0.5, 0.4, 0.2]
)


def verdict(loose: LooseTerm = LOOSE, *others: Any) -> Verdict:
    return verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER, TERM, loose, *others))


def test_a_loose_term_is_told_at_the_line_that_made_it() -> None:
    (finding,) = verdict().findings
    assert finding.location == LOOSE.location
    assert finding.message.startswith("The term that line 12 adds to the loss has no graph: in 8 backward passes it ")
    assert "went from 0.5 to 0.2" in finding.message
    assert finding.parameters == (0,)
    assert not finding.patch


def test_a_single_cut_is_named_and_can_be_undone() -> None:
    (finding,) = verdict(replace(LOOSE, operation="detach", cut_location=Location("src/train.py", 9))).findings
    assert "('detach' in line 9 cut it)" in finding.message
    assert finding.patch == "keep-graph:train.py:9"
    (finding,) = verdict(replace(LOOSE, operation="integer", cut_location=Location("train.py", 9))).findings
    assert not finding.patch


@pytest.mark.parametrize(
    "change",
    [
        {"values": [0.5, 0.5, 0.5]},
        {"values": [0.0, 0.0, 0.0]},
        {"values": []},
        {"rounds": 2},
        {"parameters": [1]},
        {"parameters": []},
    ],
    ids=["constant", "of weight zero", "unknown", "a logging step", "a teacher", "data"],
)
def test_what_needs_no_gradient_passes(change: dict[str, Any]) -> None:
    assert verdict(replace(LOOSE, **change)).status == "pass"


def test_so_few_rounds_are_no_pass() -> None:
    told = verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER, TERM, replace(LOOSE, rounds=2), steps=2))
    assert (told.status, told.reason) == ("inconclusive", "a term without a gradient was seen in 2 of 3 rounds")


def test_players_are_skipped_and_unseen_losses_inconclusive() -> None:
    assert verdict(LOOSE, Plan(regimes=["gan"])).status == "skipped"
    assert verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER)).status == "inconclusive"
    assert verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER, TERM)).status == "pass"
