"""P13 weight-decay-misapplied: weights that are erased, healthy decay, and advice on Adam and on scalars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Verdict
from flightcheck.checks.parameters.p13_weight_decay_misapplied import WITHOUT, WeightDecayMisapplied
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.recording.signals import GRAD_NORM, LOSS, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 9)
ONE = ParameterInfo(0, "model.one.weight", 0, [32, 32], "matrix", optimizers=[0], numel=1024)
TWO = replace(ONE, index=1, name="model.two.weight")
BIAS = replace(ONE, index=2, name="model.two.bias", role="bias", shape=[32], numel=32)
SHRINKING = 5.0 * np.exp(-np.arange(60) / 20)


def sgd(decay: float, kind: str = "SGD", **more: Any) -> OptimizerInfo:
    groups = [{"lr": 0.1, "weight_decay": decay, "parameters": 2, **more}, {"weight_decay": 0.0, "parameters": 1}]
    return OptimizerInfo(0, kind, LINE, groups, [0, 1, 2], steps=60)


def judge(optimizer: OptimizerInfo, norms: Any = SHRINKING, gradient: float = 0.5, losses: Any = None,
          parameters: tuple[ParameterInfo, ...] = (ONE, TWO, BIAS)) -> Verdict:  # fmt: skip
    n = len(norms)
    values = np.full(n, 2.3) if losses is None else losses
    series = {
        WEIGHT_NORM: [[float(v), float(v), 1.0] for v in norms],
        GRAD_NORM: [[gradient, gradient, 0.1]] * n,
        LOSS: [float(v) for v in values],
    }
    return verdict_of("P13", run_of(optimizer, *parameters, series=series))


def test_erased_weights_fail() -> None:
    (finding,) = judge(sgd(0.5)).findings
    assert (finding.location, finding.severity) == (LINE, None)
    assert finding.parameters == (0, 1)


def test_decoupled_decay_is_compared_with_steps_of_one() -> None:
    assert judge(sgd(20.0, "AdamW"), 5.0 * SHRINKING).status == "fail"
    assert judge(sgd(0.1, "AdamW")).status == "pass"


@pytest.mark.parametrize(
    "healthy",
    [
        {"optimizer": sgd(5e-4)},
        {"optimizer": sgd(0.5), "norms": np.full(60, 5.0)},
        {"optimizer": sgd(0.5), "gradient": 50.0},
        {"optimizer": sgd(0.5), "losses": np.linspace(2.3, 0.4, 60)},
    ],
)
def test_decay_in_balance_passes(healthy: dict[str, Any]) -> None:
    assert judge(**healthy).status == "pass"


def test_decay_inside_adam_and_of_scalars_is_information() -> None:
    (finding,) = judge(sgd(1e-4, "Adam")).findings
    assert finding.severity == "info"
    assert judge(sgd(1e-4, "Adam", decoupled_weight_decay=True)).status == "pass"
    (finding,) = judge(sgd(1e-4), parameters=(ONE, replace(TWO, role="scalar", name="model.scale"))).findings
    assert (finding.severity, finding.evidence["parameters"]) == ("info", ["model.scale"])


def test_no_decay_and_few_steps() -> None:
    assert judge(sgd(0.0)).status == "skipped"
    assert judge(sgd(0.5), SHRINKING[:9]).status == "inconclusive"


def test_decay_in_balance_with_the_gradient_fails_where_evaluations_are_far_better_without_it() -> None:
    written = Location("train.py", 4)
    strong = replace(sgd(0.5, "Adam"), decay_location=written)

    def told(gradient: float, *records: Any) -> Verdict:
        norms = [[5.0, 5.0, 1.0]] * 60
        series = {WEIGHT_NORM: norms, GRAD_NORM: [[gradient, gradient, 0.1]] * 60, LOSS: np.linspace(2.3, 0.4, 60)}
        run = run_of(strong, ONE, TWO, BIAS, *records, series=series)
        assert WeightDecayMisapplied().in_balance(run) == (gradient < 5.0)
        return verdict_of("P13", run)

    proof = Experiment("P13", WITHOUT, status="confirmed", metric="evaluation", steps=90, before=0.4, after=0.04)
    (finding,) = told(2.6, proof).findings
    assert (finding.location, finding.severity) == (written, None)
    assert "0.96 times as large as the gradient" in finding.message
    assert "evaluation after 90 steps is 0.04, and not 0.4" in finding.message
    for gradient, records in ((2.6, ()), (2.6, (replace(proof, status="inconclusive"),)), (50.0, (proof,))):
        assert [f.severity for f in told(gradient, *records).findings] == ["info"], "as any decay in Adam"


def test_rows_of_a_table_that_a_step_does_not_read_are_decayed_all_the_same() -> None:
    table = replace(ONE, role="embedding", name="model.words.weight", shape=[500, 32], numel=16_000)
    proof = Experiment("P13", WITHOUT, status="confirmed", metric="answers", steps=90, before=0.26, after=0.07)

    def told(table: ParameterInfo, decay: float) -> tuple[bool, Verdict]:
        gradients = [[0.001, 50.0, 0.1]] * 60
        series = {WEIGHT_NORM: [[5.0, 5.0, 1.0]] * 60, GRAD_NORM: gradients, LOSS: np.linspace(2.3, 0.4, 60)}
        run = run_of(sgd(decay, "Adam"), table, TWO, BIAS, proof, series=series)
        return WeightDecayMisapplied().in_balance(run), verdict_of("P13", run)

    asked, verdict = told(table, 0.005)
    (finding,) = verdict.findings
    assert (asked, finding.severity, finding.parameters) == (True, None, (0, 1))
    assert "share of wrong answers after 90 steps is 0.07, and not 0.26" in finding.message
    assert not told(replace(table, numel=500), 0.005)[0], "most weights are those of the matrix, as here"


def test_a_decay_of_adamw_given_to_adam_is_tried_however_large_the_gradient_is() -> None:
    series = {WEIGHT_NORM: [[5.0, 5.0, 1.0]] * 60, GRAD_NORM: [[9.0, 9.0, 0.1]] * 60, LOSS: np.linspace(2.3, 0.4, 60)}
    proof = Experiment("P13", WITHOUT, status="confirmed", metric="evaluation", steps=90, before=0.4, after=0.04)
    for kind, decay, asked in (("Adam", 0.1, True), ("Adam", 1e-3, False), ("AdamW", 0.1, False), ("SGD", 0.1, False)):
        run = run_of(sgd(decay, kind), ONE, TWO, BIAS, proof, series=series)
        assert WeightDecayMisapplied().in_balance(run) == asked, kind
        told = [f.message for f in verdict_of("P13", run).findings if f.severity is None]
        assert [("rescales" in m) for m in told] == [True] * asked


def test_a_decay_of_adamw_given_to_adam_is_told_where_adam_is_made() -> None:
    made, written = Location("train.py", 30), Location("train.py", 4)
    for decay, line in ((0.05, made), (0.5, written)):
        adam = replace(sgd(decay, "Adam"), location=made, decay_location=written)
        (finding,) = judge(adam, 5.0 * SHRINKING).findings
        assert finding.location == line
        assert ("AdamW" in finding.fix) == (line is made)
