"""C42 normalization-degenerate: single values, and an epsilon in the place of the momentum."""

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
from tests.lab.made import patched

LINE = Location("train.py", 8)
LAYER = ModuleInfo(0, "net.norm", "LayerNorm", "norm", 0, LINE, settings={"normalized_shape": [1]}, order=1)
GROUP = ModuleInfo(0, "net.norm", "GroupNorm", "norm", 0, LINE, settings={"group_values": 1}, order=1)
BATCH = ModuleInfo(0, "net.norm", "BatchNorm1d", "batchnorm", 0, LINE, settings={"eps": 0.8}, order=1)
SMALL = BatchStatistics(0, 64.0, 50, below_epsilon=0.9)


def verdict(*records: Any) -> Any:
    return verdict_of("C42", run_of(*records, steps=100))


def test_single_values_fail() -> None:
    for norm in (LAYER, GROUP):
        (finding,) = verdict(norm).findings
        assert (finding.location, finding.severity, finding.patch) == (LINE, None, "bypass:net.norm")


def test_more_values_and_norms_that_are_never_called_pass() -> None:
    for shape in ([8], [1, 8], 8):
        assert verdict(replace(LAYER, settings={"normalized_shape": shape})).status == "pass"
    assert verdict(replace(GROUP, settings={"group_values": 4})).status == "pass"
    assert verdict(replace(LAYER, order=-1)).status == "skipped"
    assert verdict(replace(LAYER, type="RMSNorm")).status == "pass"


def test_an_epsilon_above_the_variances_warns() -> None:
    assert [f.severity for f in verdict(BATCH, SMALL).findings] == ["warn"]
    assert [f.severity for f in verdict(BATCH, replace(SMALL, below_epsilon=0.1)).findings] == ["info"]
    assert verdict(replace(BATCH, settings={"eps": 1e-3}), replace(SMALL, below_epsilon=None)).status == "pass"
    assert verdict(BATCH, replace(SMALL, below_epsilon=None)).status == "inconclusive"


def train(norm: nn.Module) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), norm, nn.ReLU(), nn.Linear(8, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for _ in range(6):
        x = torch.randn(16, 6)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x).squeeze(1), x[:, 0]).backward()
        optimizer.step()


def test_trainings(tmp_path: Path) -> None:
    for norm, status in ((nn.GroupNorm(8, 8), "fail"), (nn.GroupNorm(2, 8), "pass"), (nn.BatchNorm1d(8, 0.99), "fail")):
        with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
            train(norm)
        assert watched.run is not None
        assert verdict_of("C42", watched.run).status == status


def test_trials(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(8, 0.99)
    assert patched(tmp_path, "batchnorm:eps=1e-5", lambda: train(norm)).applied == {"batchnorm:eps=1e-5": 6}
    assert norm.eps == 0.99
    assert patched(tmp_path, "bypass:Sequential.1", lambda: train(nn.GroupNorm(8, 8))).applied["bypass:Sequential.1"]
