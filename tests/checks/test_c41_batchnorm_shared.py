"""C41 batchnorm-shared: one layer behind several others, twins, and statistics for each place in a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location, ModuleInfo, Plan
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import patched

NORM = ModuleInfo(0, "model.norm", "BatchNorm1d", "batchnorm", 0, Location("train.py", 8))
SHARED = BatchStatistics(0, 64.0, 50, momentum=0.1, tracked=200, step=100, uses=2, use_shift=0.8, use_ratio=9.0)


def verdict(statistics: BatchStatistics, *more: Any) -> Any:
    return verdict_of("C41", run_of(NORM, statistics, *more, ended="finished", steps=200))


def test_calls_on_other_values_fail() -> None:
    (finding,) = verdict(SHARED).findings
    assert (finding.location, finding.severity) == (NORM.location, None)
    assert verdict(replace(SHARED, use_shift=0.1)).status == "fail"


def test_equal_values_single_calls_and_opponents_pass() -> None:
    assert verdict(replace(SHARED, use_shift=0.1, use_ratio=1.2)).status == "pass"
    assert verdict(replace(SHARED, uses=0)).status == "skipped"
    assert verdict(SHARED, Plan(regimes=["gan"])).status == "skipped"


def test_without_an_evaluation_or_statistics_it_is_inconclusive() -> None:
    assert verdict(replace(SHARED, tracked=None)).status == "inconclusive"
    assert verdict(replace(SHARED, use_shift=None)).status == "inconclusive"


class Twice(nn.Module):
    """The same normalization behind two layers, or behind one that is called for two inputs."""

    def __init__(self, twins: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two, self.out = nn.Linear(6, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.norm, self.twins = nn.BatchNorm1d(8), twins

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.twins:
            half = len(x) // 2
            parts = [self.norm(self.one(part)) for part in (x[:half], x[half:])]
            return self.out(torch.relu(torch.cat(parts)))
        return self.out(torch.relu(self.norm(self.two(torch.relu(self.norm(3 * self.one(x) + 2))))))


def train(model: nn.Module, steps: int = 60) -> torch.Tensor:
    drawn = torch.Generator().manual_seed(1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    held = torch.zeros(0)
    for i in range(steps):
        x = torch.randn(64, 6, generator=drawn)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
        optimizer.step()
        if i % 10 == 9:
            model.eval()
            with torch.no_grad():
                held = nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long())
            model.train()
    return held


def test_trainings(tmp_path: Path) -> None:
    for twins, status in ((False, "fail"), (True, "pass")):
        with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
            train(Twice(twins))
        assert watched.run is not None
        assert verdict_of("C41", watched.run).status == status


def test_a_trial_changes_evaluations_and_no_step(tmp_path: Path) -> None:
    model, other = Twice(False), Twice(False)
    done = patched(tmp_path, "batchnorm:each", lambda: train(model))
    assert done.applied["batchnorm:each"] > 60
    train(other)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
    norm = model.norm
    assert isinstance(norm.running_mean, torch.Tensor)
    assert not torch.allclose(norm.running_mean, other.norm.running_mean)
