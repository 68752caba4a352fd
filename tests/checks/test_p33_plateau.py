"""P33 plateau: a loss that never fell, with and without the same batches again; healthy and noisy losses."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import OptimizerInfo, Plan, RootInfo
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.testing import run_of, verdict_of

NOISE = np.random.default_rng(0).normal(0, 0.005, 200)


def batch(step: int, digest: str) -> Batch:
    return Batch(step, True, 0, "0", [64, 8], "float32", digest, -2, 2, 0, 1, 0, 0.0)


def judge(losses: Any, *records: Any, **more: Any) -> Verdict:
    return verdict_of("P33", run_of(*records, series={LOSS: [float(v) for v in losses], **more.pop("series", {})}))


def test_flat_loss_is_information() -> None:
    assert [f.severity for f in judge(0.693 + NOISE).findings] == ["info"]


def test_few_batches_that_are_not_memorized_are_a_warning() -> None:
    (finding,) = judge(0.693 + NOISE, *[batch(i, "ab"[i % 2]) for i in range(40)]).findings
    assert finding.severity == "warn"


def test_many_batches_stay_information() -> None:
    assert [f.severity for f in judge(0.693 + NOISE, *[batch(i, str(i)) for i in range(40)]).findings] == ["info"]


def test_falling_rising_and_quickly_converged_losses_pass() -> None:
    assert judge(np.linspace(0.7, 0.6, 200) + NOISE).status == "pass"
    assert judge(np.linspace(0.7, 3.0, 200) + NOISE).status == "pass"
    converged = 0.1 + NOISE / 10
    converged[0] = 0.7
    assert judge(converged).status == "pass"


def test_noise_warm_up_and_few_steps_are_inconclusive() -> None:
    assert judge(0.693 + 60 * np.abs(NOISE)).status == "inconclusive"
    assert judge(0.693 + NOISE[:60]).status == "inconclusive"
    warm_up = {LEARNING_RATE: [1e-6 * i for i in range(200)]}
    assert judge(0.693 + NOISE, series=warm_up).status == "inconclusive"
    losses = 0.693 + NOISE
    losses[50:] = np.nan
    assert judge(losses).status == "inconclusive"


def test_no_measure_of_progress_is_skipped() -> None:
    assert (
        judge(1.386 + NOISE, OptimizerInfo(0, "Adam", steps=9), OptimizerInfo(1, "Adam", steps=9)).status == "skipped"
    )
    assert judge(0.693 + NOISE, Plan(regimes=["gan"])).status == "skipped"
    assert judge(0.693 + NOISE, RootInfo(0, "net", "Net", loaded=True)).status == "skipped"
    assert judge(-5.0 + NOISE).status == "skipped"
