"""C44 attention-scores-too-large."""

from __future__ import annotations

from dataclasses import replace

import pytest

from flightcheck.recording.attention_scales import AttentionScale
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, RootInfo
from flightcheck.testing import run_of, verdict_of

SOFTMAX, FACTOR, PRODUCT = (Location("train.py", n) for n in (12, 10, 11))
ROOT = RootInfo(0, "net", "Net", train_calls=20)
LARGE = AttentionScale(SOFTMAX, FACTOR, PRODUCT, width=16, keys=20, factor=4.0, spread=4.4)
PATCH = "attention-scale:train.py:12=0.0625"


def test_a_scale_that_multiplies_fails_at_its_line() -> None:
    (finding,) = verdict_of("C44", run_of(ROOT, LARGE)).findings
    assert (finding.location, finding.severity, finding.patch) == (FACTOR, None, PATCH)
    assert "are multiplied by 4" in finding.message and "deviation of 4.4" in finding.message


def test_a_scale_that_is_left_out_is_information_until_a_trial_is_better() -> None:
    unscaled = replace(LARGE, factor=1.0, factor_location=None, width=256)
    (finding,) = verdict_of("C44", run_of(ROOT, unscaled)).findings
    assert (finding.location, finding.severity) == (PRODUCT, "info")
    assert "are not divided by √256 = 16" in finding.message
    proof = Experiment("C44", finding.patch, status="confirmed")
    (finding,) = verdict_of("C44", run_of(ROOT, unscaled, proof)).findings
    assert finding.severity is None


@pytest.mark.parametrize(
    "scale",
    [
        replace(LARGE, spread=2.9),
        replace(LARGE, factor=0.25, spread=4.0),  # scaled, and sharp all the same: the weights are the cause
        replace(LARGE, factor=1.0, spread=9.0),
    ],
)
def test_other_scores_pass(scale: AttentionScale) -> None:
    assert verdict_of("C44", run_of(ROOT, scale)).status == "pass"


def test_loaded_weights_and_models_without_attention_are_skipped() -> None:
    assert verdict_of("C44", run_of(replace(ROOT, loaded=True), LARGE)).status == "skipped"
    assert verdict_of("C44", run_of(ROOT)).status == "skipped"
