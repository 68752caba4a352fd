"""P30 sampler-set-epoch-missing: an epoch number that stands still, one that counts, and other samplers."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 12)
LOADER = LoaderInfo(0, LINE, 10, 32, True, iterators=3, used_in_training=True, sampler_epochs=[0, 0, 0])


def test_an_epoch_that_stands_still_fails() -> None:
    (finding,) = verdict_of("P30", run_of(LOADER)).findings
    assert finding.location == LINE
    (finding,) = verdict_of("P30", run_of(replace(LOADER, sampler_replicas=4))).findings
    assert "4 ranks" in finding.message


def test_an_epoch_that_counts_passes() -> None:
    assert verdict_of("P30", run_of(replace(LOADER, sampler_epochs=[0, 1, 2]))).status == "pass"
    assert verdict_of("P30", run_of(replace(LOADER, sampler_epochs=[0, 0, 1]))).status == "pass"


def test_other_samplers_evaluation_and_a_single_pass() -> None:
    assert verdict_of("P30", run_of(replace(LOADER, sampler_epochs=None))).status == "skipped"
    assert verdict_of("P30", run_of(replace(LOADER, used_in_training=False))).status == "skipped"
    assert verdict_of("P30", run_of(replace(LOADER, sampler_epochs=[0]))).status == "inconclusive"
