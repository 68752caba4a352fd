"""L15 regularization-dominates: coupled and decoupled decay and penalties that win, and those that do not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.records import Location, ModuleInfo, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, LEARNING_RATE, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

MADE, VALUE, WEIGHT = Location("train.py", 20), Location("train.py", 23), Location("train.py", 31)
LAYERS = [
    ModuleInfo(0, "model.0", "Linear", "linear", 0, order=0),
    ModuleInfo(1, "model.1", "Linear", "linear", 0, order=1),
]
MATRICES = [ParameterInfo(i, f"model.{i}.weight", i, [8, 8], "matrix", optimizers=[0]) for i in (0, 1)]
SGD = OptimizerInfo(
    0, "SGD", MADE, [{"lr": 0.1, "weight_decay": 0.5, "parameters": 2}], [0, 1], steps=10, decay_location=VALUE
)  # fmt: skip
PENALTY = LossTerm(0, 1, None, "PowBackward0", coefficient=1.0, amount=9.0, penalty=True, weight_location=WEIGHT)


def judge(
    *more: Any, optimizer: OptimizerInfo = SGD, shrink: float = 0.8, gradient: float = 0.05, n: int = 8,
    layers: list[ModuleInfo] = LAYERS,
) -> Verdict:  # fmt: skip
    weights = [[3 * shrink**i] * 2 for i in range(n)]
    series = {
        WEIGHT_NORM: weights,
        GRAD_NORM: [[gradient] * 2] * n,
        GRAD_NORM_TOTAL: [4.5 * shrink**i for i in range(n)],
        LEARNING_RATE: [[0.1]] * n,
        UPDATE_NORM: [[0.05 * w[0] + 1e-4] * 2 for w in weights],
    }
    return verdict_of("L15", run_of(*layers, *MATRICES, optimizer, *more, series=series))


def test_coupled_decay_that_wins_warns() -> None:
    (finding,) = judge().findings
    assert finding.location == VALUE
    assert finding.evidence["ratio"] > 3


def test_decoupled_decay_that_wins_warns() -> None:
    assert judge(optimizer=replace(SGD, type="AdamW")).status == "fail"


def test_penalty_that_wins_warns() -> None:
    terms = [replace(PENALTY, step=i, amount=9.0 * 0.8 ** (2 * i)) for i in range(8)]
    (finding,) = judge(*terms, optimizer=replace(SGD, groups=[{"lr": 0.1, "parameters": 2}])).findings
    assert finding.location == WEIGHT


@pytest.mark.parametrize(
    "changes",
    [
        {"gradient": 10.0},  # the data is stronger
        {"shrink": 0.99},  # the weights stay
        {"optimizer": replace(SGD, groups=[{"lr": 0.1, "weight_decay": 0.0, "parameters": 2}])},
        {"optimizer": replace(SGD, type="AdamW", groups=[{"lr": 0.1, "weight_decay": 0.01, "parameters": 2}])},
    ],
)
def test_decay_that_does_not_win_passes(changes: dict[str, Any]) -> None:
    assert judge(**changes).status == "pass"


def test_small_penalty_passes() -> None:
    terms = [replace(PENALTY, step=i, amount=0.01) for i in range(8)]
    assert judge(*terms, optimizer=replace(SGD, groups=[{"lr": 0.1, "parameters": 2}])).status == "pass"


def test_normalized_layers_and_loaded_weights_are_skipped() -> None:
    norms = [
        *LAYERS[:1],
        ModuleInfo(2, "model.n", "BatchNorm1d", "batchnorm", 0, order=1),
        replace(LAYERS[1], order=2),
        ModuleInfo(3, "model.m", "LayerNorm", "norm", 0, order=3),
    ]
    assert judge(layers=norms).status == "skipped"
    assert judge(RootInfo(0, "model", "Net", loaded=True)).status == "skipped"


def test_few_steps_are_inconclusive() -> None:
    assert judge(n=2).status == "inconclusive"
