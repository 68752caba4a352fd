"""P36 stopped-while-improving: losses that still fall, that are flat, that end as planned; runs that go on."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, OptimizerInfo, Plan
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 30)
NOISE = np.random.default_rng(0).normal(0, 0.02, 400)
FALLING = 2.3 - np.linspace(0, 1.5, 400) + NOISE
FLAT = 0.4 + 1.9 * np.exp(-np.arange(400) / 40) + NOISE


def judge(losses: Any, *records: Any, ended: str = "finished", rate: Any = None) -> Verdict:
    rates = np.full(len(losses), 1e-3) if rate is None else rate
    series = {LOSS: [float(v) for v in losses], LEARNING_RATE: [[float(r)] for r in rates]}
    optimizer = OptimizerInfo(0, "Adam", steps=len(losses))
    records = records or (Plan(backward_location=LINE),)
    return verdict_of("P36", run_of(optimizer, *records, series=series, ended=ended))


def test_a_loss_that_still_falls_is_advice() -> None:
    verdict = judge(FALLING)
    (finding,) = verdict.findings
    assert finding.location == LINE
    assert verdict.info.preview


def test_flat_and_annealed_endings_pass() -> None:
    assert judge(FLAT).status == "pass"
    assert judge(0.7 + 10 * NOISE).status == "pass"
    assert judge(FALLING, rate=1e-3 * (1 + np.cos(np.linspace(0, np.pi, 400)))).status == "pass"


def test_runs_that_cannot_be_judged() -> None:
    assert judge(FALLING, ended="stopped").status == "inconclusive"
    assert judge(FALLING[:60]).status == "inconclusive"
    assert judge(FALLING, Plan(regimes=["gan"])).status == "skipped"
    assert judge(FALLING, OptimizerInfo(1, "Adam", steps=9)).status == "skipped"
