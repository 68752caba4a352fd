"""C27 batchnorm-statistics-stale: a momentum that never catches up, one that will, and one of the last batch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location, ModuleInfo, Plan
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 8)
NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0, LINE)
STALE = BatchStatistics(0, 64.0, 50, momentum=0.001, tracked=200, step=200, left=0.82, variance_ratio=4.0, mean_shift=0)
FINISHED = {"ended": "finished", "steps": 200}


def test_statistics_of_the_construction_fail() -> None:
    (finding,) = verdict_of("C27", run_of(NORM, STALE, **FINISHED)).findings
    assert finding.location == LINE
    shifted = replace(STALE, variance_ratio=1.1, mean_shift=1.2)
    assert verdict_of("C27", run_of(NORM, shifted, **FINISHED)).status == "fail"


def test_statistics_that_caught_up_or_do_not_differ_pass() -> None:
    assert verdict_of("C27", run_of(NORM, replace(STALE, left=0.01), **FINISHED)).status == "pass"
    assert verdict_of("C27", run_of(NORM, replace(STALE, variance_ratio=1.1), **FINISHED)).status == "pass"


def test_a_training_that_goes_on_is_judged_by_its_plan() -> None:
    long, short = Plan(epochs=100, steps_per_epoch=200), Plan(epochs=2, steps_per_epoch=200)
    assert verdict_of("C27", run_of(NORM, STALE, long, ended="stopped")).status == "pass"
    assert verdict_of("C27", run_of(NORM, STALE, short, ended="stopped")).status == "fail"
    assert verdict_of("C27", run_of(NORM, STALE, ended="stopped")).status == "inconclusive"


def test_a_momentum_near_one_is_information() -> None:
    (finding,) = verdict_of("C27", run_of(NORM, replace(STALE, momentum=0.99, left=0.0), **FINISHED)).findings
    assert finding.severity == "info"
    assert "0.01" in finding.fix


def test_without_norms_or_evaluations() -> None:
    assert verdict_of("C27", run_of(**FINISHED)).status == "skipped"
    assert verdict_of("C27", run_of(NORM, replace(STALE, tracked=None), **FINISHED)).status == "inconclusive"
    assert verdict_of("C27", run_of(NORM, replace(STALE, tracked=20), **FINISHED)).status == "inconclusive"


def test_the_statistics_tell_what_the_batches_were(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(6, momentum=0.01), nn.Linear(6, 2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        for _ in range(50):
            optimizer.zero_grad()
            x = 3 + 5 * torch.randn(512, 6)
            nn.functional.cross_entropy(model(x), (x[:, 0] > 3).long()).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            model(x)
    assert watched.run is not None
    (record,) = watched.run.batch_statistics
    assert (record.values, record.tracked) == (512, 50)
    assert abs(record.left - 0.99**50) < 1e-6
    assert record.variance_ratio is not None and record.mean_shift is not None
    assert abs(record.variance_ratio - (record.left + (1 - record.left) * 25) / 25) < 0.05
    assert abs(record.mean_shift - 0.6 * record.left) < 0.05
