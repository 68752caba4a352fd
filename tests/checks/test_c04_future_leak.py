"""C04 future-leak."""

from __future__ import annotations

import pytest

from flightcheck.recording.experiments import Probe
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.records import Location, RootInfo
from flightcheck.testing import run_of, verdict_of

ROOT = RootInfo(0, "model", "LM", Location("train.py", 20), Location("train.py", 31), train_calls=10)
SITE = LossSite(0, "cross_entropy", Location("train.py", 32), train_calls=10, target_origin=Location("train.py", 30))


def leaks(moved: float, *, next_token: bool) -> Probe:
    return Probe("leaks", {"future": moved, "next_token": next_token, "copies": not next_token})


def test_a_model_that_sees_the_next_token_is_told_where_it_is_called() -> None:
    (finding,) = verdict_of("C04", run_of(ROOT, SITE, leaks(0.01, next_token=True))).findings
    assert finding.location == ROOT.call_location


def test_the_line_at_which_the_future_gets_in_is_named() -> None:
    probe = leaks(0.01, next_token=True)
    probe.result["at"] = {"file": "train.py", "line": 12, "function": "forward", "code": "att = softmax(att)"}
    (finding,) = verdict_of("C04", run_of(ROOT, SITE, probe)).findings
    assert finding.location == Location("train.py", 12, "forward", "att = softmax(att)")


@pytest.mark.parametrize(
    "probe",
    [leaks(1e-14, next_token=True), leaks(0.3, next_token=False), leaks(0.0, next_token=False)],
    ids=["causal", "autoencoder", "copies"],
)
def test_healthy_models_pass(probe: Probe) -> None:
    assert verdict_of("C04", run_of(ROOT, SITE, probe)).status == "pass"


def test_without_tokens_it_is_inconclusive() -> None:
    assert verdict_of("C04", run_of(ROOT, SITE, Probe("leaks", {"examples": 0.0}))).status == "inconclusive"
