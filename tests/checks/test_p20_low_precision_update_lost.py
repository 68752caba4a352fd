"""P20 low-precision-update-lost: bfloat16 weights that stand still; masters, Kahan, stochastic rounding, warm-up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import flightcheck
from flightcheck.recording.experiments import Experiment
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


def test_the_line_that_converted_the_weights_is_named() -> None:
    cast = Location("train.py", 30)
    assert judge(replace(LOST, cast_location=cast)).findings[0].location == cast


def test_float32_copies_that_help_prove_it() -> None:
    proof = Experiment(
        "P20", "precision:master", status="confirmed", metric="error", before=2.2, after=0.4, start=2.3, steps=300
    )
    rising = {LEARNING_RATE: [1e-8 * i for i in range(60)]}
    moved = run_of(ADAM, WEIGHT, replace(LOST, lost=0.3), proof, series=rising)
    (finding,) = verdict_of("P20", moved).findings
    assert "In 300 steps the error goes 2.3 → 2.2, and to 0.4 with float32 copies" in finding.message
    refuted = run_of(ADAM, WEIGHT, replace(LOST, lost=0.3), replace(proof, status="refuted"))
    assert verdict_of("P20", refuted).status == "pass"


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


CASTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "bfloat16": lambda m: m.bfloat16(),
    "half": lambda m: m.half(),
    "to": lambda m: m.to(torch.bfloat16),
    "to by name": lambda m: m.to(dtype=torch.float16),
}


@pytest.mark.parametrize("how", CASTS)
def test_it_is_recorded_for_a_model_that_is_gone_at_the_end(tmp_path: Path, how: str) -> None:
    def train() -> int:
        model = CASTS[how](nn.Linear(16, 4))
        optimizer = Rounded(model.parameters(), nearest)
        for _ in range(150):
            optimizer.zero_grad()
            (model(torch.randn(16, 16, dtype=model.weight.dtype)).float() ** 2).mean().backward()
            optimizer.step()
        return CASTS[how].__code__.co_firstlineno

    torch.manual_seed(0)
    with flightcheck.watch(runs_dir=tmp_path, report=False, budget=1.0) as watched:
        line = train()
    assert watched.run is not None
    (seen,) = watched.run.stored_updates
    assert seen.elements == 64
    assert seen.looks > 10
    assert seen.cast_location is not None
    assert (Path(seen.cast_location.file).name, seen.cast_location.line) == (Path(__file__).name, line)
    result = verdict_of("P20", watched.run)
    assert result.status == "fail", result.reason
    assert result.findings[0].location == seen.cast_location


def test_a_model_that_only_moves_has_no_such_line(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = nn.Linear(16, 4, dtype=torch.bfloat16)
    optimizer = Rounded(model.parameters(), nearest)
    with flightcheck.watch(runs_dir=tmp_path, report=False, budget=1.0) as watched:
        for _ in range(20):
            model(torch.randn(16, 16, dtype=torch.bfloat16)).sum().backward()
            optimizer.step()
    assert watched.run is not None
    assert watched.run.stored_updates[0].cast_location is None
