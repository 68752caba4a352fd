"""C08 exploding-gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from flightcheck.recording.records import NonFinite, Plan
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, LOSS, NOT_THERE
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line

STEPS = np.arange(100)
WOBBLE = 1 + 0.3 * np.sin(STEPS)


def verdict(norms: Any, losses: Any, *records: Any) -> Any:
    plan = [] if any(isinstance(r, Plan) for r in records) else [Plan(backward_location=line(70))]
    return verdict_of("C08", run_of(*plan, *records, series={GRAD_NORM_TOTAL: norms, LOSS: losses}))


def test_growth_with_a_growing_loss_fails() -> None:
    result = verdict(10.0 ** (STEPS / 20) * WOBBLE, np.exp(STEPS / 20))
    (finding,) = result.findings
    assert finding.location == line(70)
    assert 0 < finding.onset_step < 60


def test_growth_before_a_nan_fails() -> None:
    norms = np.concatenate([np.ones(20), 10.0 ** np.arange(1, 8)])
    assert verdict(norms, np.ones(27), NonFinite(27, "loss", "")).status == "fail"


def test_a_nan_out_of_calm_gradients_passes() -> None:
    assert verdict(WOBBLE[:50], np.ones(50), NonFinite(50, "loss", "")).status == "pass"


def test_three_spikes_that_ruin_the_loss_fail() -> None:
    norms = WOBBLE.copy()
    norms[[50, 55, 63]] = [60.0, 80.0, 90.0]
    assert verdict(norms, np.where(STEPS < 50, 1.0, 3.0)).status == "fail"
    assert verdict(norms, np.linspace(2, 0.5, 100)).status == "pass"


def test_the_small_last_batch_of_each_epoch_passes() -> None:
    norms = WOBBLE.copy()
    norms[::7] = 30.0
    assert verdict(norms, np.full(100, 1.0)).status == "pass"


def test_a_start_from_a_plateau_with_falling_loss_passes() -> None:
    assert verdict(1e-4 * 10.0 ** (STEPS / 20), np.linspace(2.3, 0.5, 100)).status == "pass"


def test_a_late_spike_of_a_training_that_is_done_passes() -> None:
    norms = np.where(STEPS < 85, 1e-4, 0.1)
    assert verdict(norms, np.where(STEPS < 85, np.exp(-STEPS / 8), 1e-3)).status == "pass"


def test_reinforcement_learning_passes() -> None:
    noisy = verdict(10.0 ** (STEPS / 20), np.exp(STEPS / 20), Plan(regimes=["reinforcement"]))
    assert noisy.status == "pass"


def test_few_steps_are_inconclusive() -> None:
    assert verdict(WOBBLE[:10], np.ones(10)).status == "inconclusive"


def test_growth_with_parameters_that_are_thawed_is_information() -> None:
    norms = [1.0] * 60 + [200.0] * 40
    losses = [2.0 - i / 100 for i in range(60)] + [3.0] * 40
    series = {GRAD_NORM_TOTAL: norms, LOSS: losses}
    (finding,) = verdict_of("C08", run_of(series=series)).findings
    assert finding.severity is None
    frozen = [[1.0, NOT_THERE]] * 58 + [[1.0, 200.0]] * 42
    (finding,) = verdict_of("C08", run_of(series={**series, GRAD_NORM: frozen})).findings
    assert finding.severity == "info"
