"""D18 regression-target-scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import Location, Plan
from flightcheck.testing import run_of, verdict_of
from tests.checks._batches import losses

SITE = LossSite(0, "mse_loss", Location("train.py", 50), target_origin=Location("train.py", 12))


def calls(values: list[float], mean: float, std: float, **changes: Any) -> list[LossCall]:
    given = {
        "target_dtype": "float32",
        "target_mean": mean,
        "target_std": std,
        "input_module_type": "Linear",
        "classes": 1,
    }
    return losses(values, **{**given, **changes})


def falling(start: float, end: float) -> list[float]:
    return [float(v) for v in np.geomspace(start, end, 20)]


@pytest.mark.parametrize(
    ("mean", "std", "start", "end"),
    [(152.0, 77.0, 29000.0, 9000.0), (1e-4, 1e-3, 0.05, 1e-4), (2015.0, 3.0, 4e6, 3.9e6)],
    ids=["disease progression", "tiny", "years"],
)
def test_worse_than_the_mean_is_a_warning_at_the_target(mean: float, std: float, start: float, end: float) -> None:
    (finding,) = verdict_of("D18", run_of(SITE, *calls(falling(start, end), mean, std))).findings
    assert finding.location == SITE.target_origin


@pytest.mark.parametrize(
    ("mean", "std", "start", "end"),
    [(0.0, 1.0, 1.0, 0.3), (0.0, 1.0, 1.2, 1.1), (152.0, 77.0, 29000.0, 3500.0), (20.0, 5.0, 400.0, 300.0)],
    ids=["standardized", "standardized, not learning", "large but learned", "moderate"],
)
def test_other_targets_pass(mean: float, std: float, start: float, end: float) -> None:
    assert verdict_of("D18", run_of(SITE, *calls(falling(start, end), mean, std))).status == "pass"


def test_a_scaled_head_is_not_judged() -> None:
    scaled = calls(falling(29000, 9000), 152, 77, input_module_type="", input_op="MulBackward0")
    assert verdict_of("D18", run_of(SITE, *scaled)).status == "inconclusive"


def test_few_calls_are_inconclusive() -> None:
    assert verdict_of("D18", run_of(SITE, *calls([29000.0] * 5, 152, 77))).status == "inconclusive"


def test_classification_and_returns_are_skipped() -> None:
    assert verdict_of("D18", run_of(LossSite(0, "cross_entropy", None), *losses([2.0] * 20))).status == "skipped"
    rl = run_of(SITE, Plan(regimes=["reinforcement"]), *calls(falling(29000, 9000), 152, 77))
    assert verdict_of("D18", rl).status == "skipped"
