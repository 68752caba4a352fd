"""P20 low-precision-update-lost: bfloat16 weights that stand still; masters, Kahan, stochastic rounding, warm-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import flightcheck
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.recording.signals import LEARNING_RATE
from flightcheck.recording.states import StoredUpdate
from flightcheck.testing import run_of, verdict_of

LINE = Location("train.py", 8)
ADAM = OptimizerInfo(0, "AdamW", LINE, steps=60, parameters=[0])
WEIGHT = ParameterInfo(0, "model.fc.weight", 0, [64, 64], "matrix", optimizers=[0], location=LINE, dtype="bfloat16")
LOST = StoredUpdate(0, "bfloat16", 60, 60, 0.9, 4096)


def judge(update: StoredUpdate, **more: Any) -> Any:
    return verdict_of("P20", run_of(ADAM, WEIGHT, update, **more))


def test_weights_that_never_move_fail() -> None:
    (finding,) = judge(LOST).findings
    assert finding.location == LINE
    assert finding.parameters == (0,)


def test_weights_that_move_pass() -> None:
    assert judge(replace(LOST, lost=0.3)).status == "pass"


def test_masters_and_frozen_weights_are_skipped() -> None:
    assert judge(replace(LOST, master=True)).status == "skipped"
    assert verdict_of("P20", run_of(ADAM, replace(WEIGHT, requires_grad=False), LOST)).status == "skipped"
    assert verdict_of("P20", run_of(ADAM, WEIGHT)).status == "skipped"


def test_few_steps_and_warm_up_are_inconclusive() -> None:
    assert judge(replace(LOST, steps=20)).status == "inconclusive"
    assert judge(replace(LOST, looks=5)).status == "inconclusive"
    assert judge(LOST, series={LEARNING_RATE: [1e-8 * i for i in range(60)]}).status == "inconclusive"


class Rounded(torch.optim.Optimizer):
    """Sign descent whose stored value is computed by `store` from the exact one."""

    def __init__(self, parameters: Any, store: Callable[[dict[str, Any], torch.Tensor, torch.Tensor], None]) -> None:
        super().__init__(parameters, {"lr": 2e-5})
        self.store = store

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    self.store(self.state[p], p, -group["lr"] * p.grad.float().sign())


def nearest(state: dict[str, Any], p: torch.Tensor, update: torch.Tensor) -> None:
    p.copy_(p.float() + update)


def master(state: dict[str, Any], p: torch.Tensor, update: torch.Tensor) -> None:
    state["copy"] = state.get("copy", p.float()) + update
    p.copy_(state["copy"])


def stochastic(state: dict[str, Any], p: torch.Tensor, update: torch.Tensor) -> None:
    bits = (p.float() + update).view(torch.int32)
    p.copy_(((bits + torch.randint(0, 1 << 16, bits.shape, dtype=torch.int32)) & -(1 << 16)).view(torch.float32))


def recorded(folder: Path, store: Callable[[dict[str, Any], torch.Tensor, torch.Tensor], None]) -> Any:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 2)).bfloat16()
    optimizer = Rounded(model.parameters(), store)
    with flightcheck.watch(runs_dir=folder, report=False, budget=1.0) as watched:
        for _ in range(150):
            optimizer.zero_grad()
            x = torch.randn(16, 16, dtype=torch.bfloat16)
            nn.functional.cross_entropy(model(x), (x[:, 0] > 0).long()).backward()
            optimizer.step()
    assert watched.run is not None
    return verdict_of("P20", watched.run)


def test_rounding_to_the_nearest_is_measured(tmp_path: Path) -> None:
    assert recorded(tmp_path, nearest).status == "fail"


def test_exact_copies_and_stochastic_rounding_are_recognized(tmp_path: Path) -> None:
    assert recorded(tmp_path, master).status == "skipped"
    assert recorded(tmp_path, stochastic).status == "pass"
