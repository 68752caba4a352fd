"""S07 worse-than-constant: above the constant and stuck, hovering at it, still falling, and moving targets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from flightcheck.checks.base import Verdict
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, Plan
from flightcheck.recording.signals import LOSS
from flightcheck.testing import run_of, verdict_of

SITE = LossSite(0, "mse_loss", Location("train.py", 50))
CALL = LossCall(
    0, 0, True, [64, 1], [64, 1], [], "float32", "float32", 1.0, -1, 1, -2, 2, target_mean=0.0, target_std=1.0
)
NOISE = np.random.default_rng(0).normal(0, 0.05, 200)


def judge(losses: Any, calls: list[LossCall] | None = None, site: LossSite = SITE, *more: Any) -> Verdict:
    losses = [float(v) for v in losses]
    steps = [i for i in (0, 1, 2, 3, 4, 5, 6, 7, 100, 150) if i < len(losses)]
    observed = calls or [CALL] * len(steps)
    observed = [replace(c, step=i, value=losses[i]) for c, i in zip(observed, steps)]
    return verdict_of("S07", run_of(site, *observed, *more, series={LOSS: losses}))


def test_stuck_above_the_variance_fails() -> None:
    (finding,) = judge(1.5 + NOISE).findings
    assert finding.evidence["constant"] == pytest.approx(1.0)
    assert finding.location == SITE.location


def test_rising_loss_above_the_entropy_fails() -> None:
    ids = replace(CALL, classes=2, label_counts=[32, 32], target_dtype="int64", input_shape=[64, 2], target_shape=[64])
    site = replace(SITE, function="cross_entropy")
    assert judge(np.linspace(0.8, 2.0, 200) + NOISE, [ids] * 10, site).status == "fail"


def test_below_or_at_the_constant_passes() -> None:
    assert judge(0.3 + NOISE).status == "pass"
    assert judge(1.02 + NOISE).status == "pass"  # a task without signal


def test_still_falling_is_inconclusive() -> None:
    assert judge(np.linspace(9.0, 3.0, 200)).status == "inconclusive"


def test_moving_targets_are_inconclusive() -> None:
    early = [replace(CALL, target_std=0.1)] * 8
    assert judge(1.5 + NOISE, [*early, CALL, CALL]).status == "inconclusive"


def test_few_steps_are_inconclusive() -> None:
    assert judge(1.5 + NOISE[:60]).status == "inconclusive"


def test_nan_losses_are_inconclusive() -> None:
    losses = 1.5 + NOISE
    losses[80:] = np.nan
    assert judge(losses).status == "inconclusive"


def test_weighted_constant_or_adversarial_losses_are_skipped() -> None:
    assert judge(1.5 + NOISE, None, replace(SITE, settings={"reduction": "sum"})).status == "skipped"
    assert judge(1.5 + NOISE, [replace(CALL, target_std=0.0)] * 10).status == "skipped"
    assert judge(1.5 + NOISE, None, SITE, Plan(regimes=["gan"])).status == "skipped"
    assert verdict_of("S07", run_of(series={LOSS: 1.5 + NOISE})).status == "skipped"
