"""C07 vanishing-gradient."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flightcheck.checks.connections.c07_vanishing_gradient import SWAPPED
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import ModuleInfo, OptimizerInfo, ParameterInfo
from flightcheck.recording.signals import ACTIVATION_RMS, ACTIVATION_SPREAD, GRAD_NORM, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network

FLAT = 2.3 + 0.001 * np.sin(np.arange(60))
FALLING = np.linspace(2.3, 0.4, 60)


def series(depth: int, per_layer: float, loss: Any, output_spread: float = 0.5, rows: int = 12) -> dict[Any, Any]:
    gradients = [per_layer ** (depth - 1 - i) for i in range(depth)]
    modules = 2 * depth - 1
    return {
        GRAD_NORM: [gradients] * rows,
        WEIGHT_NORM: [[1.0] * depth] * rows,
        UPDATE_NORM: [[1e-3] * depth] * rows,
        ACTIVATION_RMS: [[1.0] * modules] * rows,
        ACTIVATION_SPREAD: [[output_spread] * modules] * rows,
        LOSS: loss,
    }


def test_a_deep_sigmoid_stack_fails_and_names_the_activation() -> None:
    (finding,) = verdict_of("C07", run_of(*network(8, activation="Sigmoid"), series=series(8, 0.15, FLAT))).findings
    assert finding.evidence["activation"] == "Sigmoid"
    assert finding.patch == "swap-activation:relu | swap-activation:relu+reinit:kaiming", "one, then both"
    assert finding.location == line(11)


def test_a_deep_relu_stack_fails_without_naming_an_activation() -> None:
    (finding,) = verdict_of("C07", run_of(*network(10), series=series(10, 0.3, FLAT))).findings
    assert finding.evidence["activation"] == ""
    assert finding.patch == "", "the check's own"


def test_a_loss_that_only_learnt_the_mean_does_not_excuse_it() -> None:
    signals = series(8, 0.15, FALLING, output_spread=1e-4)
    assert verdict_of("C07", run_of(*network(8, activation="Sigmoid"), series=signals)).status == "fail"


def test_a_model_that_learns_passes() -> None:
    assert verdict_of("C07", run_of(*network(8), series=series(8, 0.15, FALLING))).status == "pass"


def test_even_gradients_on_a_plateau_pass() -> None:
    assert verdict_of("C07", run_of(*network(8), series=series(8, 0.8, FLAT))).status == "pass"


def test_shallow_models_are_skipped() -> None:
    assert verdict_of("C07", run_of(*network(2), series=series(2, 0.001, FLAT))).status == "skipped"


def test_few_samples_are_inconclusive() -> None:
    assert verdict_of("C07", run_of(*network(8), series=series(8, 0.1, FLAT, rows=2))).status == "inconclusive"
    assert verdict_of("C07", run_of(*network(8))).status == "inconclusive"


def swapped(status: str = "confirmed", patch: str = SWAPPED) -> Experiment:
    told = Experiment("C07", patch, status=status, metric="error", steps=80, seeds=3)
    return replace(told, start=1.4, before=1.39, after=0.6)


def test_three_layers_that_learn_with_relu_alone_are_told() -> None:
    run = run_of(*network(4, activation="Sigmoid"), swapped(), series=series(4, 0.5, FLAT))
    (finding,) = verdict_of("C07", run).findings
    assert finding.patch == SWAPPED
    assert finding.location == line(11)
    assert "from 1.4 to 1.39, and with ReLU in their place to 0.6" in finding.message


@pytest.mark.parametrize(
    ("e", "loss", "activation"),
    [(swapped("refuted"), FLAT, "Sigmoid"), (swapped(), FALLING, "Sigmoid"), (swapped(), FLAT, "ReLU")],
)
def test_without_a_proof_they_are_not(e: Experiment, loss: Any, activation: str) -> None:
    run = run_of(*network(4, activation=activation), e, series=series(4, 0.5, loss))
    assert verdict_of("C07", run).status == "pass"


def test_layers_that_a_function_calls_in_turn_are_one_stack() -> None:
    modules = [ModuleInfo(i, f"Linear {i}", "Linear", "linear", i, line(i), order=0) for i in range(8)]
    weights = [ParameterInfo(i, f"{i}.weight", i, [4, 4], "matrix", optimizers=[0]) for i in range(8)]
    found = [*modules, *weights]
    optimizer = OptimizerInfo(0, "SGD", parameters=list(range(8)), steps=60)
    (finding,) = verdict_of("C07", run_of(*found, optimizer, series=series(8, 0.15, FLAT))).findings
    assert (finding.location, finding.evidence["layers"]) == (line(0), 8)
    assert verdict_of("C07", run_of(*found, optimizer, series=series(8, 0.15, FALLING))).status == "pass"


def test_a_fall_that_was_there_before_any_decay_is_known() -> None:
    signals = series(8, 0.15, FLAT)
    (finding,) = verdict_of("C07", run_of(*network(8, activation="Sigmoid"), series=signals)).findings
    assert finding.evidence["from_start"]
    signals[GRAD_NORM] = [[1.0] * 8] * 4 + signals[GRAD_NORM][4:]
    (finding,) = verdict_of("C07", run_of(*network(8, activation="Sigmoid"), series=signals)).findings
    assert not finding.evidence["from_start"]
