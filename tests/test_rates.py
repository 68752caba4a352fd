"""The learning rate by which a training is called."""

from __future__ import annotations

import pytest

from flightcheck.recording.rates import highest_rate
from flightcheck.recording.records import OptimizerInfo
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.testing import run_of

ADAM = OptimizerInfo(0, "Adam", groups=[{"lr": 1e-6}], steps=40)


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ([1e-6 * (i + 1) for i in range(30)] + [1e-5] * 10, 3e-5),
        ([1e-6] * 40, 1e-6),
        ([], 1e-6),
    ],
)
def test_the_peak_of_a_warm_up_is_the_rate(rates: list[float], found: float) -> None:
    run = run_of(ADAM, series={LEARNING_RATE: rates} if rates else {})
    assert highest_rate(run, ADAM) == pytest.approx(found, rel=1e-5)


def test_without_any_number_there_is_none() -> None:
    assert highest_rate(run_of(), OptimizerInfo(0, "LBFGS")) is None
