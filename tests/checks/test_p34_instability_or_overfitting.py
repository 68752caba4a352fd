"""P34 instability-or-overfitting: rising, falling and noisy evaluation losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 44)
RISING = [0.9, 0.7, 0.6, 0.65, 0.8, 0.9, 1.1]
FALLING_LOSS = np.linspace(1.0, 0.05, 140)


def judge(evaluated: list[float], training: Any = FALLING_LOSS, plan: Plan | None = None) -> Verdict:
    phases = [Evaluation(20 * i, 0, 1, LINE, losses=1, loss_value=v) for i, v in enumerate(evaluated)]
    return verdict_of("P34", run_of(plan or Plan(), *phases, series={LOSS: [float(v) for v in training]}))


def test_a_rising_evaluation_loss_is_advice() -> None:
    verdict = judge(RISING)
    (finding,) = verdict.findings
    assert (finding.location, finding.onset_step) == (LINE, 40)
    assert verdict.info.preview


def test_falling_noisy_and_diverging_losses_pass() -> None:
    assert judge([0.9, 0.8, 0.7, 0.65, 0.6, 0.58, 0.57]).status == "pass"
    assert judge([0.9, 0.7, 0.6, 0.65, 0.6, 0.66, 0.61]).status == "pass"
    assert judge([0.9, 0.7, 0.6, 0.9, 0.85, 0.8, 0.75]).status == "pass"
    assert judge(RISING, FALLING_LOSS[::-1]).status == "pass"


def test_what_cannot_be_judged() -> None:
    assert judge(RISING[:4]).status == "inconclusive"
    assert judge(RISING, plan=Plan(regimes=["gan"])).status == "skipped"
