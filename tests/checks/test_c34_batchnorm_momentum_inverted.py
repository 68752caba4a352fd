"""C34 batchnorm-momentum-inverted: statistics of the last batch, with the harm that they do."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location, ModuleInfo
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import Loop, patched

NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0, Location("train.py", 8))
LAST = BatchStatistics(0, 8.0, 50, momentum=0.99, tracked=200, step=200, newest_weight=0.99, noise=0.35, off=0.3)


def verdict(statistics: BatchStatistics) -> Any:
    return verdict_of("C34", run_of(NORM, statistics, ended="finished", steps=200))


def test_noisy_statistics_of_the_last_batch_fail() -> None:
    (finding,) = verdict(LAST).findings
    assert (finding.location, finding.severity) == (NORM.location, None)
    assert "PyTorch's is 0.01" in finding.fix


def test_large_batches_and_recalibrated_statistics_are_information() -> None:
    for harmless in (replace(LAST, noise=0.02), replace(LAST, off=0.02), replace(LAST, noise=None, off=None)):
        (finding,) = verdict(harmless).findings
        assert finding.severity == "info"


def test_other_momenta_pass_and_no_evaluation_is_inconclusive() -> None:
    assert verdict(replace(LAST, newest_weight=None)).status == "pass"
    assert verdict(replace(LAST, calls=0)).status == "pass"
    assert verdict(replace(LAST, tracked=None)).status == "inconclusive"
    assert verdict_of("C34", run_of(ended="finished")).status == "skipped"


def model_of(momentum: float | None) -> nn.Sequential:
    torch.manual_seed(4)  # far from the limits, whichever steps the clock lets the budget measure
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8, momentum=momentum), nn.ReLU(), nn.Linear(8, 2))


def trained(folder: Path, momentum: float | None, rows: int = 8, recalibrate: bool = False) -> Any:
    model = model_of(momentum)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for i in range(60):
            x = torch.randn(rows, 6)
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
            if i % 10 == 9:
                if recalibrate:
                    model[1].momentum = 1.0
                    with torch.no_grad():
                        model(torch.randn(2000, 6))
                    model[1].momentum = momentum
                model.eval()
                with torch.no_grad():
                    model(x)
                model.train()
    assert watched.run is not None
    return verdict_of("C34", watched.run)


def test_trainings_with_small_and_with_large_batches(tmp_path: Path) -> None:
    (finding,) = trained(tmp_path, 0.99).findings
    assert finding.severity is None
    assert 0.2 < finding.evidence["noise"] < 0.5
    assert [f.severity for f in trained(tmp_path, 0.99, rows=2000).findings] == ["info"]


def test_usual_momenta_averages_and_recalibration_pass(tmp_path: Path) -> None:
    for momentum in (0.1, None):
        assert trained(tmp_path, momentum).status == "pass"
    assert trained(tmp_path, 0.1, recalibrate=True).status == "pass"


def test_a_trial_uses_the_default(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(5, momentum=0.99), nn.Linear(5, 3))
    norm = model[0]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    done = patched(tmp_path, "batchnorm:momentum=0.1", Loop(model))
    assert done.applied == {"batchnorm:momentum=0.1": 4}
    assert norm.momentum == 0.99
    usual = nn.Sequential(nn.BatchNorm1d(5), nn.Linear(5, 3))
    assert patched(tmp_path, "batchnorm:momentum=0.1", Loop(usual)).applied == {}
    assert isinstance(usual[0], nn.BatchNorm1d) and usual[0].running_mean is not None
    assert torch.equal(norm.running_mean, usual[0].running_mean)
    slow = nn.Sequential(nn.BatchNorm1d(5, momentum=0.001), nn.Linear(5, 3))
    assert patched(tmp_path, "batchnorm:momentum=0.1", Loop(slow)).applied == {"batchnorm:momentum=0.1": 4}
