"""C11 update-ratio-out-of-range."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from flightcheck.recording.records import Plan
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, LOSS, UPDATE_NORM, WEIGHT_NORM
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import OPTIMIZER, line, network

NETWORK = network(3, optimizer=replace(OPTIMIZER, lr_location=line(3)))
FLAT = np.full(80, 2.3)


def verdict(update: float, loss: Any, *more: Any, rows: int = 80, gradients: Any = None, rates: Any = None) -> Any:
    signals = {
        UPDATE_NORM: [[update] * 3] * rows,
        WEIGHT_NORM: [[1.0] * 3] * rows,
        GRAD_NORM: [[g] * 3 for g in (np.ones(rows) if gradients is None else gradients)],
        LEARNING_RATE: np.full(rows, 1e-3) if rates is None else rates,
        LOSS: loss,
    }
    return verdict_of("C11", run_of(*NETWORK, *more, series=signals))


def test_tiny_updates_without_learning_fail_at_the_rate() -> None:
    (finding,) = verdict(1e-8, FLAT).findings
    assert finding.location == line(3)
    assert finding.evidence["side"] == "low"


def test_huge_updates_long_after_the_start_fail() -> None:
    (finding,) = verdict(0.8, FLAT).findings
    assert finding.evidence["side"] == "high"


def test_usual_updates_pass() -> None:
    assert verdict(1e-3, FLAT).status == "pass"


def test_tiny_updates_that_learn_decay_or_converge_pass() -> None:
    assert verdict(1e-8, np.linspace(2, 1, 80)).status == "pass"
    assert verdict(1e-8, FLAT, rates=np.geomspace(1e-3, 1e-8, 80)).status == "pass"
    assert verdict(1e-8, FLAT, gradients=np.geomspace(1, 1e-6, 80)).status == "pass"
    assert verdict(1e-8, FLAT, Plan(regimes=["finetune"])).status == "pass"


def test_bit_identical_weights_are_left_to_another_check() -> None:
    assert verdict(0.0, FLAT).status == "pass"


def test_large_first_steps_pass() -> None:
    assert verdict(0.8, FLAT[:35], rows=35).status == "pass"


def test_few_samples_are_inconclusive() -> None:
    assert verdict(1e-8, FLAT, rows=4).status == "inconclusive"


def test_without_matrices_it_is_skipped() -> None:
    assert verdict_of("C11", run_of(*network(2, zero=True))).status == "skipped"
