"""C28 batchnorm-batch-too-small: two values per channel, many, one branch, and other devices' values."""

from __future__ import annotations

from dataclasses import replace

from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 8)
NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0, LINE)
SMALL = BatchStatistics(0, values=2, calls=40)
LARGE = BatchStatistics(1, values=4096, calls=40)


def test_two_values_fail() -> None:
    (finding,) = verdict_of("C28", run_of(NORM, SMALL)).findings
    assert (finding.location, finding.severity) == (LINE, None)
    assert "-1 or 1" in finding.message


def test_many_values_pass() -> None:
    assert verdict_of("C28", run_of(NORM, LARGE, replace(SMALL, values=8))).status == "pass"


def test_one_branch_is_information() -> None:
    run = run_of(NORM, SMALL, LARGE, replace(LARGE, module=2))
    assert [f.severity for f in verdict_of("C28", run).findings] == ["info"]


def test_no_calls_few_calls_and_synchronized_norms() -> None:
    assert verdict_of("C28", run_of(NORM)).status == "skipped"
    assert verdict_of("C28", run_of(NORM, replace(SMALL, synchronized=True))).status == "skipped"
    assert verdict_of("C28", run_of(NORM, replace(SMALL, calls=2))).status == "inconclusive"
