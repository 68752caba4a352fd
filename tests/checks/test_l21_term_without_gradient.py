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
    assert finding.location == Location("src/train.py", 9)
    (finding,) = verdict(replace(LOOSE, operation="no_grad", cut_location=Location("src/train.py", 9))).findings
    assert finding.location == LOOSE.location, "what was computed there may be right there, and is used here"
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


def test_of_players_only_a_term_of_who_learns_is_told() -> None:
    critic = ParameterInfo(2, "critic", 2, [4, 4], "matrix", optimizers=[1])
    players = [*PARAMETERS, critic, OPTIMIZER, replace(OPTIMIZER, index=1, parameters=[2]), Plan(regimes=["gan"])]

    def told(behind: list[int], beside: list[int]) -> str:
        return verdict_of("L21", run_of(*players, TERM, replace(LOOSE, parameters=behind, beside=beside))).status

    assert told([0, 2], [0]) == "fail", "features of what the generator made, while the critic is frozen"
    assert told([0, 2], [0, 2]) == "fail", "or not"
    assert told([2], [0, 2]) == "skipped", "the critic's part of a distance between real and made"
    assert told([2], [0]) == "skipped"
    assert told([0], []) == "skipped"


def test_players_are_skipped_and_unseen_losses_inconclusive() -> None:
    assert verdict(LOOSE, Plan(regimes=["gan"])).status == "skipped"
    assert verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER)).status == "inconclusive"
    assert verdict_of("L21", run_of(*PARAMETERS, OPTIMIZER, TERM)).status == "pass"
