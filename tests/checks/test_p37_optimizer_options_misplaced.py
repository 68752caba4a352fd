"""P37 optimizer-options-misplaced: options that hold each other's values, and the trial that moves them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.lab.diffs import diff_of
from flightcheck.patch import Patch
from flightcheck.recording.optimizer_options import misplaced
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.testing import run_of, verdict_of
from tests.lab.made import Loop, mlp, patched

WEIGHT = [nn.Parameter(torch.zeros(2))]
O = torch.optim  # noqa: E741
WRONG: dict[str, tuple[O.Optimizer, dict[str, Any]]] = {
    "decay, momentum": (O.SGD(WEIGHT, 0.1, 5e-4, 0.9), {"momentum": 0.9, "dampening": 0.0, "weight_decay": 5e-4}),
    "no decay, momentum": (O.SGD(WEIGHT, 0.1, 0, 0.9), {"momentum": 0.9, "dampening": 0.0, "weight_decay": 0}),
    "names": (O.SGD(WEIGHT, 0.1, momentum=1e-4, weight_decay=0.9), {"momentum": 0.9, "weight_decay": 1e-4}),
    "RMSprop": (O.RMSprop(WEIGHT, 0.1, 0.99, 1e-8, 0.9, 1e-4), {"momentum": 0.9, "weight_decay": 1e-4}),
    "RMSprop's alpha": (O.RMSprop(WEIGHT, 0.1, 1e-4), {"alpha": 0.99, "weight_decay": 1e-4}),
    "Adam's epsilon": (O.Adam(WEIGHT, 0.1, (0.9, 0.99), 1e-4, 1e-8), {"eps": 1e-8, "weight_decay": 1e-4}),
    "betas": (O.AdamW(WEIGHT, 0.1, (0.999, 0.9)), {"betas": (0.9, 0.999)}),
}
RIGHT = [
    O.SGD(WEIGHT, 0.1),
    O.SGD(WEIGHT, 0.1, 0.9, weight_decay=5e-4, nesterov=True),
    O.SGD(WEIGHT, 0.1, 0.9, 0.9),
    O.SGD(WEIGHT, 0.1, 0.5, 0.7),
    O.SGD(WEIGHT, 0.1, 0.01),
    O.SGD(WEIGHT, 0.1, weight_decay=0.9),
    O.RMSprop(WEIGHT, 0.1, 0.9, momentum=0.9, weight_decay=1e-4),
    O.RMSprop(WEIGHT, 0.1, 0.0),
    O.Adam(WEIGHT, 0.1, (0.0, 0.9), 1e-3),
    O.Adam(WEIGHT, 0.1, (0.95, 0.9), 1e-5, 1e-4),
    O.AdamW(WEIGHT, 0.1, (0.5, 0.999), 1e-8, 1e-2),
    O.Adagrad(WEIGHT, 0.1),
    O.LBFGS(WEIGHT),
]
LINE = Location("train.py", 9, "", "optimizer = SGD(weights, 0.1, 5e-4, 0.9)")


def recorded(optimizer: O.Optimizer, steps: int = 50) -> OptimizerInfo:
    group = {k: list(v) if isinstance(v, tuple) else v for k, v in optimizer.param_groups[0].items() if k != "params"}
    return OptimizerInfo(0, type(optimizer).__name__, LINE, [group], [0], steps=steps)


@pytest.mark.parametrize("name", WRONG)
def test_misplaced_values_fail_with_their_own_places(name: str) -> None:
    optimizer, right = WRONG[name]
    assert misplaced(type(optimizer).__name__, optimizer.param_groups[0]) == right
    (finding,) = verdict_of("P37", run_of(recorded(optimizer))).findings
    assert finding.location == LINE
    for option in right.keys() - {"dampening"}:
        assert f"{option}=" in finding.fix
    diff = diff_of([Patch.parse("options:moved")], finding, run_of())
    assert diff.startswith(f"- {LINE.code}\n+ ") and str(finding.evidence["options"]) in diff


@pytest.mark.parametrize("optimizer", RIGHT, ids=lambda o: type(o).__name__)
def test_what_somebody_may_mean_passes(optimizer: O.Optimizer) -> None:
    assert verdict_of("P37", run_of(recorded(optimizer))).status == "pass"


def test_without_an_optimizer_or_a_step_nothing_is_decided() -> None:
    assert verdict_of("P37", run_of()).status == "skipped"
    assert verdict_of("P37", run_of(recorded(WRONG["names"][0], steps=0))).status == "inconclusive"


def losses_of(folder: Path, patch: str, *options: float, **named: float) -> list[float]:
    torch.manual_seed(0)
    loop = Loop(mlp(activation=nn.ReLU))
    loop.optimizer = O.SGD(loop.model.parameters(), 0.05, *options, **named)
    done = patched(folder, patch, loop)
    assert not done.errors
    assert done.applied == ({patch: len(loop.losses)} if patch else {})
    return loop.losses


def test_the_trial_steps_as_the_named_options_do(tmp_path: Path) -> None:
    moved = losses_of(tmp_path, "options:moved", 5e-4, 0.9)
    assert moved == losses_of(tmp_path, "", momentum=0.9, weight_decay=5e-4)
    assert moved != losses_of(tmp_path, "", 5e-4, 0.9)
