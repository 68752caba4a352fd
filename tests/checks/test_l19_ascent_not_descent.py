"""L19 ascent-not-descent: minus, maximize and the missing minus; opponents, rewards and unlearning."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.loss._own_signs import turns
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.loss_records import LossCall, LossSite, LossTerm
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, Plan, RootInfo
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

MINUS, STEP, MADE = Location("train.py", 50), Location("train.py", 60), Location("train.py", 40)
SITE = LossSite(0, "cross_entropy", Location("train.py", 49))
OPTIMIZER = OptimizerInfo(0, "SGD", MADE, [{"lr": 0.1, "maximize": False}], [0], steps=20)
WEIGHT = ParameterInfo(0, "fc.weight", 0, [3, 4], "matrix", optimizers=[0])
TERM = LossTerm(0, 1, STEP, "NllLossBackward0", site=0, coefficient=-1.0, value=1.0, negated_location=MINUS)
PENALTY = replace(TERM, site=-1, operation="PowBackward0", coefficient=0.01, penalty=True)
PICKED = replace(TERM, site=-1, operation="LogSoftmaxBackward0", coefficient=0.1, averaged=[10], location=MINUS)


def judge(*terms: LossTerm, rising: float = 0.1, n: int = 12, more: tuple[Any, ...] = (), **optimizer: Any) -> Verdict:
    calls = [LossCall(0, i, True, [8, 3], [8], [], "float32", "int64", 1.1 + rising * i, -1, 1, 0, 2) for i in range(n)]
    moved = [replace(t, step=i, amount=-1.0 - rising * i) for i in range(n) for t in terms]
    site = () if any(isinstance(m, LossSite) for m in more) else (SITE,)
    return verdict_of("L19", run_of(*site, replace(OPTIMIZER, **optimizer), WEIGHT, *calls, *moved, *more))


@pytest.mark.parametrize(
    ("terms", "maximize", "line"),
    [
        ((TERM,), False, MINUS),
        ((TERM, PENALTY), False, MINUS),
        ((replace(TERM, negated_location=None),), False, STEP),
        ((replace(TERM, coefficient=1.0),), True, MADE),
        ((PICKED,), False, MINUS),
    ],
)
def test_climbing_fails(terms: tuple[LossTerm, ...], maximize: bool, line: Location) -> None:
    verdict = judge(*terms, groups=[{"lr": 0.1, "maximize": maximize}])
    assert [(f.location, f.severity) for f in verdict.findings] == [(line, "error")]


@pytest.mark.parametrize(
    "terms",
    [
        (replace(TERM, coefficient=1.0),),
        (replace(TERM, coefficient=None),),  # weighted by data
        (TERM, replace(TERM, coefficient=1.0)),  # gradient reversal: one term up, one down
        (TERM, replace(TERM, site=-1, operation="MeanBackward1", coefficient=1.0)),
        (replace(PICKED, coefficient=-0.1),),
        (PICKED, replace(PICKED, coefficient=0.3), replace(PICKED, coefficient=0.7)),  # rewards
    ],
)
def test_descent_opponents_and_rewards_pass(terms: tuple[LossTerm, ...]) -> None:
    assert judge(*terms).status == "pass"


def test_an_error_that_the_script_squares_itself_is_the_loss_of_its_line() -> None:
    by_hand = LossSite(0, "mse_loss", MADE)
    squared = replace(TERM, site=-1, operation="PowBackward0", coefficient=-0.1, location=MADE)
    assert [f.location for f in judge(squared, more=(by_hand,)).findings] == [MINUS]
    assert judge(replace(squared, coefficient=0.1), more=(by_hand,)).status == "pass"
    assert judge(squared).status == "pass"  # a cross-entropy stands elsewhere: this may be a reward


def test_minus_with_maximize_is_descent() -> None:
    assert judge(TERM, groups=[{"maximize": True}]).status == "pass"


def test_loss_that_falls_passes() -> None:
    assert judge(TERM, rising=-0.01).status == "pass"


def test_unlearning_on_loaded_weights_is_information() -> None:
    verdict = judge(TERM, more=(RootInfo(0, "model", "Net", loaded=True),))
    assert [f.severity for f in verdict.findings] == ["info"]


def test_few_calls_are_inconclusive() -> None:
    assert judge(TERM, n=3).status == "inconclusive"


def test_opponents_and_nothing_to_see_are_skipped() -> None:
    assert judge(TERM, more=(Plan(regimes=["gan"]),)).status == "skipped"
    assert verdict_of("L19", run_of()).status == "skipped"


def test_optimizer_of_an_input_is_skipped() -> None:
    image = ParameterInfo(1, "image", -1, [3, 8, 8], "matrix", optimizers=[0])
    assert judge(TERM, more=(image,)).status == "skipped"


def falling(*values: float, regimes: tuple[str, ...] = ()) -> Verdict:
    plan = Plan(regimes=list(regimes), loss_location=MINUS)
    return verdict_of("L19", run_of(plan, OPTIMIZER, WEIGHT, series={LOSS: list(values)}))


def test_a_value_without_lower_bound_fails() -> None:
    deep = [-0.9 - 3.0 * i**3 for i in range(60)]
    (finding,) = falling(*deep).findings
    assert (finding.location, finding.severity) == (MINUS, None)
    assert not falling(*deep, regimes=("gan",)).findings
    assert not falling(*deep, regimes=("reinforcement",)).findings


@pytest.mark.parametrize(
    "values",
    [
        [2.0 - 3.0 * math.log(1 + i) for i in range(60)],
        [-5000.0 - 100.0 * i for i in range(60)],
        [3.0 - 4000.0 * (1 - 0.9**i) for i in range(60)],
        [1e5 / (1 + i) for i in range(60)],
    ],
    ids=["a density", "of its size from the start", "comes to rest", "positive"],
)
def test_values_that_find_a_bound_pass(values: list[float]) -> None:
    assert not falling(*values).findings


def test_a_minus_that_lets_the_loss_fall_without_end_is_the_line() -> None:
    falling = [-(1.2 ** (i / 2)) for i in range(120)]
    records = [SITE, OPTIMIZER, WEIGHT, TERM, Plan(loss_location=MADE)]
    (finding,) = verdict_of("L19", run_of(*records, series={LOSS: falling})).findings
    assert (finding.location, finding.fix) == (MINUS, "Remove the minus before the loss.")
    (finding,) = verdict_of("L19", run_of(*records[:3], records[-1], series={LOSS: falling})).findings
    assert finding.location == MADE


AGREE = Opponents(1, 0, 7, 6, [448, 0], [10, 374], [384, 0], maker_backward=14)
PLAYERS = (RootInfo(0, "gen", "Net"), RootInfo(1, "disc", "Net"), replace(TERM, backward=14, location=MADE))


def players(pair: Opponents) -> Verdict:
    return verdict_of("L19", run_of(Plan(regimes=["gan"]), OPTIMIZER, WEIGHT, SITE, *PLAYERS, pair))


def test_a_generator_that_is_to_look_made_fails() -> None:
    (finding,) = players(AGREE).findings
    assert (finding.location, finding.severity) == (MADE, None)
    assert finding.patch == f"targets:opposite={MADE.file}:{MADE.line}"
    turned = replace(AGREE, made_by_judge=[0, 448], others_by_judge=[384, 0], made_by_maker=[0, 384])
    assert players(turned).status == "fail"


@pytest.mark.parametrize(
    "changes",
    [
        {"made_by_maker": [0, 384]},
        {"made_by_maker": [370, 14]},
        {"others_by_judge": [384, 0]},
        {"others_by_judge": [0, 0]},
        {"others_by_judge": [100, 284]},
        {"maker_steps": 3},
    ],
)
def test_players_who_want_different_things_pass(changes: dict[str, Any]) -> None:
    assert players(replace(AGREE, **changes)).status == "skipped"


def test_a_penalty_that_is_subtracted_fails() -> None:
    data = replace(TERM, coefficient=1.0, operation="MseLossBackward0", negated_location=None)
    minus = replace(PENALTY, coefficient=-0.03, location=MADE, negated_location=MINUS, amount=-0.2)
    rounds = [replace(t, backward=i, step=i) for i in range(4) for t in (data, minus, minus)]
    (finding,) = verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *rounds)).findings
    assert (finding.location, finding.patch) == (MINUS, "term:2,3@train.py:40 x-1")
    added = [replace(t, coefficient=0.03) if t.penalty else t for t in rounds]
    assert not verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *added)).findings
    seldom = [t for t in rounds if not t.penalty or t.backward]
    assert not verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *seldom)).findings


def test_signs_of_own_arithmetic_need_a_trial() -> None:
    own = replace(TERM, site=-1, operation="DivBackward0", coefficient=1.0, location=MADE, negated_location=None)
    rounds = [replace(own, backward=i, step=i) for i in range(4)]
    tried = Experiment("L19", "loss:negate", status="confirmed", metric="printed val iou", before=0.0, after=0.8)
    assert not verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *rounds)).findings
    assert not verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *rounds, replace(tried, status="refuted"))).findings
    (finding,) = verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, *rounds, tried)).findings
    assert (finding.location, finding.patch) == (MADE, "loss:negate")


def test_what_may_have_the_wrong_sign() -> None:
    loss = replace(TERM, coefficient=1.0, operation="BinaryCrossEntropyBackward0", negated_location=None)
    divergence = [
        replace(loss, site=-1, operation=name, coefficient=c, location=MADE, value=0.5)
        for name, c in (("AddmmBackward0", 0.5), ("PowBackward0", -0.5), ("ExpBackward0", -0.5))
    ]
    assert [t.patch for t in turns(run_of(loss, *divergence))] == ["term:2@train.py:40 x-1"]
    right = [replace(t, coefficient=-(t.coefficient or 0.0)) for t in divergence]
    assert turns(run_of(loss, *right)) == []
    assert turns(run_of(loss)) == []
    policy = replace(loss, site=-1, operation="SubBackward0", coefficient=None, location=MADE)
    agent = Plan(regimes=["reinforcement"])
    assert [t.patch for t in turns(run_of(policy, agent))] == ["loss:negate"]
    assert turns(run_of(replace(policy, negated_location=MINUS), agent)) == []
    mixed = [replace(policy, coefficient=c, negated_location=n) for c, n in ((0.5, None), (-0.5, MINUS))]
    assert [t.patch for t in turns(run_of(*mixed, agent))] == ["loss:negate"], "returns of both signs"


def test_a_divergence_of_the_wrong_sign_is_told_at_its_line() -> None:
    data = replace(TERM, coefficient=1.0, operation="BinaryCrossEntropyBackward0", negated_location=None)
    size = replace(data, site=-1, operation="ExpBackward0", coefficient=-0.5, location=MADE)
    falling = {LOSS: [100.0 - 1.2**i for i in range(90)]}
    (finding,) = verdict_of("L19", run_of(SITE, OPTIMIZER, WEIGHT, data, size, series=falling)).findings
    assert (finding.location, finding.patch) == (MADE, "term:2@train.py:40 x-1")
