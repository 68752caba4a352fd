"""C03 cross-example-leak."""

from __future__ import annotations

from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
from flightcheck.testing import run_of, verdict_of

ROOT = RootInfo(0, "model", "Net", Location("train.py", 20), train_calls=10)
LSTM = ModuleInfo(1, "model.rnn", "LSTM", "rnn", 0, Location("train.py", 9), settings={"batch_first": False}, order=0)


def leak(moved: float) -> Probe:
    return Probe("leaks", {"examples": moved, "dim": 0, "batch": 32})


def test_a_recurrent_layer_that_takes_the_batch_for_time_is_named() -> None:
    (finding,) = verdict_of("C03", run_of(ROOT, LSTM, leak(0.1))).findings
    assert finding.location == LSTM.location
    assert "batch_first" in finding.fix
    assert finding.patch == "batch-first"


def test_without_one_the_model_is_named() -> None:
    (finding,) = verdict_of("C03", run_of(ROOT, leak(0.1))).findings
    assert finding.location == ROOT.location


def test_independent_outputs_pass() -> None:
    assert verdict_of("C03", run_of(ROOT, LSTM, leak(1e-13))).status == "pass"


def test_a_model_that_could_not_be_asked_is_inconclusive() -> None:
    assert verdict_of("C03", run_of(ROOT, Probe("leaks", {}))).status == "inconclusive"
    assert verdict_of("C03", run_of(ROOT)).status == "inconclusive"


def test_players_of_a_gan_are_skipped() -> None:
    assert verdict_of("C03", run_of(ROOT, leak(0.1), Plan(regimes=["gan"]))).status == "skipped"
