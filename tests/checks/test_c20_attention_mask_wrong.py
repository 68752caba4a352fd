"""C20 attention-mask-wrong."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.attention import AttentionMask
from flightcheck.recording.experiments import Experiment, Probe
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.testing import run_of, verdict_of

ATTENTION = ModuleInfo(1, "model.mix", "MultiheadAttention", "attention", 0, Location("train.py", 9), order=0)
LINE = Location("train.py", 31, "", "h = self.attn(z, z, z, attn_mask=mask)[0]")
SELF_HIDDEN = AttentionMask("multi_head_attention_forward", "attn_mask", LINE, calls=16, without_self=16)
INVERTED = AttentionMask(
    "multi_head_attention_forward", "key_padding_mask", LINE, calls=16, padding_known=9, padding_open=9
)
PATCH = "mask:invert:attn_mask:train.py:31"
HIDDEN = Probe("leaks", {"padding": 1e-15, "pad_share": 0.3})


def test_padding_that_is_seen_is_told_at_the_attention() -> None:
    (finding,) = verdict_of("C20", run_of(ATTENTION, Probe("leaks", {"padding": 0.2, "pad_share": 0.3}))).findings
    assert finding.location == ATTENTION.location
    assert finding.severity == "info"


def test_hidden_padding_passes() -> None:
    assert verdict_of("C20", run_of(ATTENTION, HIDDEN)).status == "pass"


def test_without_padding_it_is_inconclusive() -> None:
    assert verdict_of("C20", run_of(ATTENTION, Probe("leaks", {}))).status == "inconclusive"


def test_a_mask_that_shows_the_padding_only_fails() -> None:
    (finding,) = verdict_of("C20", run_of(INVERTED)).findings
    assert finding.location == LINE
    assert finding.severity is None
    assert finding.patch == "mask:invert:key_padding_mask:train.py:31"


def test_a_mask_that_hides_the_padding_passes() -> None:
    for known in (replace(INVERTED, padding_open=0), replace(INVERTED, padding_open=8)):
        assert verdict_of("C20", run_of(known, HIDDEN)).status == "pass"
    assert verdict_of("C20", run_of(replace(INVERTED, padding_known=1, padding_open=1), HIDDEN)).status == "pass"


def test_positions_that_do_not_see_themselves_are_an_error_only_if_a_trial_says_so() -> None:
    (finding,) = verdict_of("C20", run_of(SELF_HIDDEN)).findings
    assert (finding.severity, finding.location, finding.patch) == ("info", LINE, PATCH)
    tried = Experiment("C20", PATCH, status="confirmed", metric="error", before=0.3, after=0.03, steps=80)
    (finding,) = verdict_of("C20", run_of(SELF_HIDDEN, tried)).findings
    assert finding.severity is None
    assert "0.03" in finding.message
    (finding,) = verdict_of("C20", run_of(SELF_HIDDEN, replace(tried, status="inconclusive"))).findings
    assert finding.severity == "info"


def test_a_mask_that_hides_the_own_position_at_times_passes() -> None:
    assert verdict_of("C20", run_of(replace(SELF_HIDDEN, without_self=15), HIDDEN)).status == "pass"
