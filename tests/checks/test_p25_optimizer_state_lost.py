"""P25 optimizer-state-lost: a resumed run without its moments."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 33)
ADAM = OptimizerInfo(0, "Adam", LINE, steps=40, state_read_location=Location("train.py", 28))
BODY = ParameterInfo(0, "model.body", 0, [4, 4], "matrix", optimizers=[0], loaded=True)
HEAD = ParameterInfo(1, "model.head", 1, [4, 4], "matrix", optimizers=[0], loaded=True)


def test_a_state_that_was_read_and_not_loaded_fails() -> None:
    (finding,) = verdict_of("P25", run_of(ADAM, BODY, HEAD)).findings
    assert finding.location == LINE


def test_loaded_state_and_fine_tuning_pass() -> None:
    assert verdict_of("P25", run_of(replace(ADAM, state_loaded=True), BODY, HEAD)).status == "pass"
    assert verdict_of("P25", run_of(ADAM, BODY, replace(HEAD, loaded=False))).status == "pass"
    assert verdict_of("P25", run_of(replace(ADAM, state_read_location=None), BODY, HEAD)).status == "pass"


def test_a_state_emptied_again_and_again_fails_and_once_is_info() -> None:
    often = replace(ADAM, state_read_location=None, state_drops=5)
    assert [(f.severity, f.patch) for f in verdict_of("P25", run_of(often, BODY)).findings] == [(None, "keep-state")]
    assert [f.severity for f in verdict_of("P25", run_of(replace(often, state_drops=1), BODY)).findings] == ["info"]


def test_inconclusive_and_skipped() -> None:
    assert verdict_of("P25", run_of(replace(ADAM, steps=0), BODY)).status == "inconclusive"
    assert verdict_of("P25", run_of(replace(ADAM, type="SGD", groups=[{"momentum": 0}]), BODY)).status == "skipped"
