"""P38 loss-scale-unpaired: unscaled and never scaled, or the reverse."""

from __future__ import annotations

from typing import Any

from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.testing import run_of, verdict_of

BACKWARD, STEP = Location("train.py", 30, code="loss.backward()"), Location("train.py", 31, code="sgd.step()")
SGD = OptimizerInfo(0, "SGD", parameters=[0], step_location=STEP, steps=20)


def rounds(through: dict[str, Any] | None, bare: dict[str, Any], times: int = 20) -> list[Call]:
    made = []
    for i in range(times):
        made.append(Call(4 * i, i, "backward", -1, BACKWARD, {"optimizers": [0]}))
        made.append(Call(4 * i + 1, i, "step", 0, STEP, {"gradients": 4, "scaled": False, **bare}))
        if through is not None:
            made.append(Call(4 * i + 2, i, "scaler_step", 0, STEP, {"scale": 512.0, **through}))
    return made


def test_a_loss_that_was_not_multiplied_fails_at_the_backward() -> None:
    (finding,) = verdict_of("P38", run_of(SGD, *rounds({"loss_scaled": False}, {}))).findings
    assert finding.location == BACKWARD
    assert finding.patch == "accumulate:x512"


def test_a_step_of_scaled_gradients_fails_at_the_step() -> None:
    (finding,) = verdict_of("P38", run_of(SGD, *rounds(None, {"scaled": True, "scale": 512.0}))).findings
    assert finding.location == STEP
    assert finding.patch == f"accumulate:x{1 / 512}"


def test_the_usual_rounds_pass() -> None:
    assert verdict_of("P38", run_of(SGD, *rounds({"loss_scaled": True}, {}))).status == "pass"
    one = rounds({"loss_scaled": True, "scale": 1.0}, {})
    assert verdict_of("P38", run_of(SGD, *one)).status == "pass"
    without_scale = rounds({"loss_scaled": False, "scale": 1.0}, {})
    assert verdict_of("P38", run_of(SGD, *without_scale)).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P38", run_of(SGD, *rounds({"loss_scaled": False}, {}, times=3))).status == "inconclusive"
    assert verdict_of("P38", run_of(SGD, *rounds(None, {}))).status == "skipped"
