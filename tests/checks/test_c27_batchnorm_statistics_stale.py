"""C27 batchnorm-statistics-stale: a momentum that never catches up, one that will, and copies."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import flightcheck
from flightcheck.checks.base import Verdict
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 8)
NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0, LINE)
STALE = BatchStatistics(0, 64.0, 50, momentum=0.001, tracked=200, step=200, left=0.82, variance_ratio=4.0, mean_shift=0)
FINISHED = {"ended": "finished", "steps": 200}


def test_statistics_of_the_construction_fail() -> None:
    (finding,) = verdict_of("C27", run_of(NORM, STALE, **FINISHED)).findings
    assert finding.location == LINE
    assert finding.patch == "batchnorm:momentum=0.1"
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


def test_the_planned_rounds_of_a_loop_over_steps_count() -> None:
    assert verdict_of("C27", run_of(NORM, STALE, Plan(rounds=20_000), ended="stopped")).status == "pass"
    assert verdict_of("C27", run_of(NORM, STALE, Plan(rounds=400), ended="stopped")).status == "fail"


def test_one_layer_of_many_that_spoils_the_model_is_enough() -> None:
    fine = [replace(STALE, module=i, variance_ratio=1.0) for i in (1, 2, 3)]
    one = run_of(NORM, STALE, *fine, **FINISHED)
    assert verdict_of("C27", one).status == "pass"
    for bad in (replace(STALE, variance_ratio=40.0), replace(STALE, mean_shift=12.0)):
        assert verdict_of("C27", run_of(NORM, bad, *fine, **FINISHED)).status == "fail"


COPY = ModuleInfo(1, "ema.norm", "BatchNorm1d", "batchnorm", 1)
NEVER = BatchStatistics(1, 0.0, 0, momentum=0.1, tracked=0, step=200, left=1.0)
FRESH = replace(STALE, momentum=0.1, left=0.0, variance_ratio=1.0)
ROOTS = (RootInfo(0, "model", "Net"), RootInfo(1, "ema", "Net"))


def test_a_copy_whose_statistics_no_batch_updated_fails() -> None:
    (finding,) = verdict_of("C27", run_of(NORM, COPY, FRESH, NEVER, *ROOTS, **FINISHED)).findings
    assert (finding.location, finding.module) == (LINE, "ema.norm")
    assert "ema is evaluated with BatchNorm statistics that no batch has ever updated" in finding.message
    assert "use_buffers=True" in finding.fix


def test_copies_that_are_updated_or_of_another_kind_pass() -> None:
    other = (ROOTS[0], replace(ROOTS[1], type="Teacher"))
    assert verdict_of("C27", run_of(NORM, COPY, FRESH, NEVER, *other, **FINISHED)).status == "pass"
    for never in (replace(NEVER, tracked=200), replace(NEVER, step=10), replace(NEVER, momentum=0.0)):
        assert verdict_of("C27", run_of(NORM, COPY, FRESH, never, *ROOTS, **FINISHED)).status == "pass"


def average(buffers: bool, folder: Path) -> Verdict:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 2))
    slow = copy.deepcopy(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(60):
            optimizer.zero_grad()
            x = 3 + 5 * torch.randn(64, 6)
            nn.functional.cross_entropy(model(x), (x[:, 0] > 3).long()).backward()
            optimizer.step()
            with torch.no_grad():
                for p, q in zip(slow.parameters(), model.parameters()):
                    p.lerp_(q, 0.1)
                for p, q in zip(slow.buffers(), model.buffers()):
                    if buffers:
                        p.copy_(q)
        for net in (model.eval(), slow.eval()):
            with torch.no_grad():
                net(x)
    assert watched.run is not None
    return verdict_of("C27", watched.run)


def test_averages_of_weights(tmp_path: Path) -> None:
    assert average(True, tmp_path).status == "pass"
    assert average(False, tmp_path).status == "fail"


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
