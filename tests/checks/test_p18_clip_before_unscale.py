"""P18 clip-before-unscale: the limit meets gradients 65536 times too large."""

from __future__ import annotations

from flightcheck.recording.records import Call, Location
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 52)


def calls(scaled: bool, times: int = 10, scale: float = 65536.0) -> list[Call]:
    data = {"norm": 3e5 if scaled else 4.0, "max_norm": 1.0, "scaled": scaled, "after_step": False, "parameters": 6}
    made = []
    for i in range(times):
        made += [Call(2 * i, i, "clip", 0, LINE, data), Call(2 * i + 1, i, "scaler_step", 0, None, {"scale": scale})]
    return made


def test_scaled_gradients_fail() -> None:
    (finding,) = verdict_of("P18", run_of(*calls(True))).findings
    assert finding.location == LINE
    assert "1.5e-05" in finding.message


def test_unscaled_gradients_pass() -> None:
    assert verdict_of("P18", run_of(*calls(False))).status == "pass"


def test_a_scale_of_one_passes() -> None:
    assert verdict_of("P18", run_of(*calls(True, scale=1.0))).status == "pass"


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P18", run_of(*calls(True, times=1))).status == "inconclusive"
    assert verdict_of("P18", run_of(*[c for c in calls(False) if c.kind == "clip"])).status == "skipped"
    assert verdict_of("P18", run_of(*[c for c in calls(False) if c.kind != "clip"])).status == "skipped"
