"""C41 batchnorm-shared: one layer behind several others, twins, and statistics for each place in a trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.experiments import Probe
from flightcheck.recording.records import Location, ModuleInfo, Plan, RootInfo
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


# -- several passes of one step --------------------------------------------------------------------------------------

GAP = Probe("modes", {"calls": 200, "train": [0.1] * 8, "eval": [0.5] * 8, "groups": [
    {"name": "batchnorm", "path": "", "own": False, "closes": 0.97, "likeness": 0.9}]})  # fmt: skip
PASSES = replace(SHARED, uses=0, passes=2)
ROOT = RootInfo(0, "model", "Net", Location("train.py", 30), train_calls=120)


def test_passes_over_other_kinds_of_batches_fail_where_eval_mode_is_worse() -> None:
    (finding,) = verdict(PASSES, GAP, ROOT).findings
    assert (finding.location, finding.patch) == (NORM.location, "batchnorm:nearest")
    assert "Each training step passes 2 batches" in finding.message
    alike = Probe("modes", {**GAP.result, "eval": [0.1] * 8})
    assert verdict(PASSES, alike, ROOT).status == "pass"
    assert verdict(PASSES, ROOT).status == "inconclusive", "the modes were not compared"


def test_passes_over_batches_of_one_kind_or_views_pass() -> None:
    assert verdict(replace(PASSES, use_shift=0.1, use_ratio=1.2), GAP, ROOT).status == "pass"
    assert verdict(PASSES, GAP, ROOT, Plan(regimes=["contrastive"])).status == "skipped"


def train_in_passes(net: nn.Module, *, kinds: bool, steps: int = 60) -> float:
    """One step for two batches, of one kind or of two; the loss of the evaluation."""
    torch.manual_seed(1)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
    draw = [lambda: torch.randn(32, 4), lambda: 4 * torch.randn(32, 4) + 3 if kinds else torch.randn(32, 4)]

    def error(x: torch.Tensor, at: int) -> torch.Tensor:
        plain = (x - 3) / 4 if at and kinds else x
        return nn.functional.mse_loss(net(x), plain.sum(1, keepdim=True))

    for _ in range(steps):
        net.train()
        optimizer.zero_grad()
        for at, batch in enumerate(draw):
            error(batch(), at).backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        return sum(error(batch(), at).item() for at, batch in enumerate(draw))


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.Tanh(), nn.Linear(16, 1))


def test_the_statistics_of_the_passes_of_a_step(tmp_path: Path) -> None:
    for kinds in (True, False):
        with flightcheck.watch(runs_dir=tmp_path / str(kinds), report=False) as watched:
            train_in_passes(small(), kinds=kinds)
        assert watched.run is not None
        (known,) = watched.run.batch_statistics
        assert (known.uses, known.passes) == (0, 2)
        assert known.use_shift is not None and known.use_ratio is not None
        assert (known.use_shift > 0.5 or known.use_ratio > 2) == kinds


def test_the_trial_takes_the_nearest_statistics(tmp_path: Path) -> None:
    found: list[float] = []
    without = train_in_passes(small(), kinds=True)
    done = patched(tmp_path, "batchnorm:nearest", lambda: found.append(train_in_passes(small(), kinds=True)))
    assert not done.errors
    assert found[0] < 0.7 * without
