"""C20 attention-mask-wrong."""

from __future__ import annotations

from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

ATTENTION = ModuleInfo(1, "model.mix", "MultiheadAttention", "attention", 0, Location("train.py", 9), order=0)


def test_padding_that_is_seen_is_told_at_the_attention() -> None:
    (finding,) = verdict_of("C20", run_of(ATTENTION, Probe("leaks", {"padding": 0.2, "pad_share": 0.3}))).findings
    assert finding.location == ATTENTION.location


def test_hidden_padding_passes() -> None:
    run = run_of(ATTENTION, Probe("leaks", {"padding": 1e-15, "pad_share": 0.3}))
    assert verdict_of("C20", run).status == "pass"


def test_without_padding_it_is_inconclusive() -> None:
    assert verdict_of("C20", run_of(ATTENTION, Probe("leaks", {}))).status == "inconclusive"
