"""C30 mode-mistake: batch normalization that is in eval mode from its construction on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Call, ModuleInfo
from flightcheck.recording.states import BatchStatistics
from flightcheck.testing import run_of, verdict_of
from tests.checks._network import line, network
from tests.checks.test_c30_mode_mistake import EVALUATION, forwards
from tests.lab.made import Loop, data, patched

NORM = ModuleInfo(60, "net.norm", "BatchNorm1d", "batchnorm", 0, order=3)
NEVER = BatchStatistics(60, momentum=0.1, fixed_calls=8, initial=True, mode_location=line(44))
SOURCE = Path(__file__).read_text(encoding="utf-8")


def verdict(statistics: BatchStatistics, modes: str = "ffffffff") -> Any:
    calls = [replace(c, data={**c.data, "batchnorm": c.data["dropout"], "dropout": ""}) for c in forwards(modes)]
    return verdict_of("C30", run_of(*network(3), NORM, *calls, statistics, steps=100))


def test_statistics_of_the_construction_in_training_fail() -> None:
    (finding,) = verdict(NEVER).findings
    assert (finding.location, finding.module, finding.severity) == (line(44), "net.norm", None)
    assert finding.patch == "mode:batchnorm"


def test_a_whole_model_in_eval_mode_from_the_start_fails_without_a_line_too() -> None:
    (finding,) = verdict(replace(NEVER, mode_location=None), "eeeeeeee").findings
    assert finding.evidence["initial"]


def test_statistics_of_a_file_or_of_batches_and_single_calls_pass() -> None:
    assert verdict(replace(NEVER, initial=False)).status == "pass"
    assert verdict(replace(NEVER, calls=2)).status == "pass"
    assert verdict(replace(NEVER, fixed_calls=2)).status == "pass"


class Net(nn.Module):
    def __init__(self, freeze: bool) -> None:
        super().__init__()
        self.freeze = freeze
        self.body = nn.Sequential(nn.Linear(5, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))

    def train(self, mode: bool = True) -> Net:
        super().train(mode)
        if self.freeze:
            self.body[1].eval()  # frozen
        return self

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.body(x)
        return out


def trained(folder: Path, model: nn.Module, before: Callable[[nn.Module], object] = lambda m: None) -> Any:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, y = data()
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        before(model)
        model.train()
        for _ in range(10):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    assert watched.run is not None
    return verdict_of("C30", watched.run)


def test_a_freezing_model_is_told_with_the_line_of_its_eval(tmp_path: Path) -> None:
    (finding,) = trained(tmp_path, Net(True)).findings
    assert finding.location is not None
    assert SOURCE.splitlines()[finding.location.line - 1].endswith("# frozen")


def test_learnt_loaded_and_copied_statistics_are_frozen_in_peace(tmp_path: Path) -> None:
    x, _ = data()
    learnt = Net(False)
    learnt(x)
    assert trained(tmp_path, Net(False)).status == "pass"
    state = learnt.state_dict()
    assert trained(tmp_path, Net(True), lambda m: m.load_state_dict(state)).status == "pass"
    copied = Net(True)
    norm = copied.body[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.running_mean is not None
    norm.running_mean.copy_(x.mean() * torch.ones(8))
    assert trained(tmp_path, copied).status == "pass"


def test_a_trial_lets_them_normalize(tmp_path: Path) -> None:
    model = Net(True).train()
    done = patched(tmp_path, "mode:batchnorm", Loop(model))
    norm = model.body[1]
    assert isinstance(norm, nn.BatchNorm1d) and norm.num_batches_tracked is not None
    assert done.applied == {"mode:batchnorm": 4} and int(norm.num_batches_tracked) == 4
    assert not norm.training
    assert patched(tmp_path, "mode:batchnorm", Loop(Net(False).train())).applied == {}


def test_a_fine_tune_in_eval_mode_from_its_first_step_passes() -> None:
    """Statistics that another training left are kept on purpose; an evaluation before, and train() was forgotten."""
    learnt = BatchStatistics(60, momentum=0.1, fixed_calls=8, initial=False)
    switch = Call(0, 0, "eval_mode", 0, line(20))
    calls = [
        replace(c, seq=c.seq + 1, data={**c.data, "batchnorm": "eval", "dropout": ""}) for c in forwards("eeeeeeee")
    ]
    records = [*network(3), NORM, *calls, switch]
    assert verdict_of("C30", run_of(*records, learnt, steps=100)).status == "pass"
    before = replace(EVALUATION, step=0, modes={"batchnorm": "eval"}, training_flag=False)
    assert verdict_of("C30", run_of(*records, learnt, before, steps=100)).status == "fail"
    assert verdict_of("C30", run_of(*records, replace(learnt, initial=True), steps=100)).status == "fail"
