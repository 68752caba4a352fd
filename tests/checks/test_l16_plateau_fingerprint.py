"""L16 plateau-fingerprint: a loss that stands at a constant, with and without a witness, and healthy losses."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, OptimizerInfo, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "cross_entropy", Location("train.py", 50))
PRIOR = [32, 16, 16]
ENTROPY = 1.5 * math.log(2)
CALL = LossCall(
    0, 0, True, [64, 3], [64], [], "float32", "int64", ENTROPY, -1, 1, 0, 2,
    classes=3, label_counts=PRIOR, target_distinct=3, input_op="AddmmBackward0", input_column_spread=0.3,
)  # fmt: skip
NOISE = np.random.default_rng(0).normal(0, 0.01, 200)


def judge(losses: Any, call: LossCall = CALL, site: LossSite = SITE, *more: Any) -> Verdict:
    losses = [float(v) for v in losses]
    steps = [i for i in (0, 1, 2, 3, 4, 5, 6, 7, 100, 150) if i < len(losses)]
    calls = [replace(call, step=i, value=losses[i]) for i in steps]
    return verdict_of("L16", run_of(site, *calls, *more, series={LOSS: losses}))


def test_loss_at_the_entropy_is_information() -> None:
    (finding,) = judge(ENTROPY + NOISE).findings
    assert finding.severity == "info"
    assert "entropy of the 3 class shares" in finding.message


def test_constant_predictions_make_it_a_warning() -> None:
    (finding,) = judge(ENTROPY + NOISE, replace(CALL, input_column_spread=1e-4)).findings
    assert finding.severity == "warn"
    assert finding.location == SITE.location


def test_variance_of_the_targets() -> None:
    call = replace(CALL, target_std=2.0, target_mean=1.0, label_counts=None, input_column_spread=1e-3)
    (finding,) = judge(4.0 + NOISE, call, replace(SITE, function="mse_loss")).findings
    assert finding.severity == "warn"


def test_floor_of_doubled_sigmoid() -> None:
    call = replace(CALL, target_mean=0.5, label_counts=None, input_op="SigmoidBackward0")
    site = replace(SITE, function="binary_cross_entropy_with_logits")
    (finding,) = judge(0.5 * 0.31326 + 0.5 * 0.69315 + NOISE / 10, call, site).findings
    assert "probabilities used as logits" in finding.message


def test_scaled_loss_is_compared_on_its_own_scale() -> None:
    losses = list(ENTROPY + NOISE)
    calls = [replace(CALL, step=i, value=losses[i] * 4) for i in range(8)]
    entropy = verdict_of("L16", run_of(SITE, *calls, series={LOSS: losses}))
    assert entropy.status == "pass"  # the loss function's own value is four times the entropy


def test_falling_and_low_losses_pass() -> None:
    assert judge(np.linspace(1.1, 0.2, 200) + NOISE).status == "pass"
    assert judge(0.4 + NOISE).status == "pass"


def test_noisy_losses_are_inconclusive() -> None:
    assert judge(ENTROPY + 30 * NOISE).status == "inconclusive"


def test_few_steps_are_inconclusive() -> None:
    assert judge(ENTROPY + NOISE[:30]).status == "inconclusive"


def test_opponents_agents_and_other_terms_are_skipped() -> None:
    adversarial = [OptimizerInfo(i, "Adam", steps=100) for i in range(2)]
    assert judge(ENTROPY + NOISE, CALL, SITE, *adversarial).status == "skipped"
    assert judge(ENTROPY + NOISE, CALL, SITE, Plan(regimes=["reinforcement"])).status == "skipped"
    calls = [replace(CALL, step=i, value=0.5 + 0.05 * i) for i in range(8)]
    assert verdict_of("L16", run_of(SITE, *calls, series={LOSS: ENTROPY + NOISE})).status == "skipped"
