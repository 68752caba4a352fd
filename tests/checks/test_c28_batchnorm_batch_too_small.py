"""C28 batchnorm-batch-too-small: two values per channel, many, one branch, and other devices' values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from flightcheck.recording.experiments import Experiment
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import FEATURES, Loop, patched

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


ALONE = replace(LARGE, module=0, values=144, examples=1.0, fewest=144, most=144, tracked=300)
PROOF = Experiment("C28", "batchnorm:running", "fix", "confirmed", before=0.9, after=0.2, seeds=3, metric="evaluation")


def test_single_images_are_a_note_until_a_trial_shows_harm() -> None:
    assert [f.severity for f in verdict_of("C28", run_of(NORM, ALONE)).findings] == ["info"]
    assert [f.severity for f in verdict_of("C28", run_of(NORM, ALONE, PROOF)).findings] == [None]


def test_several_images_or_no_evaluation_with_running_statistics() -> None:
    for other in (replace(ALONE, examples=8.0), replace(ALONE, tracked=None), replace(ALONE, most=288)):
        assert verdict_of("C28", run_of(NORM, other, PROOF)).status == "pass"


def test_a_trial_normalizes_as_evaluations_do(tmp_path: Path) -> None:
    torch.manual_seed(0)
    norm = nn.BatchNorm1d(FEATURES)
    done = patched(tmp_path, "batchnorm:running", Loop(nn.Sequential(norm, nn.Linear(FEATURES, 3))))
    assert done.applied == {"batchnorm:running": 4}
    assert norm.training and norm.num_batches_tracked == 4
