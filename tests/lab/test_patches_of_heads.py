"""Class ids under a regression loss get an output each."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from flightcheck.recording.signals import ERROR
from tests.lab.made import CLASSES, FEATURES, Loop, batches, data, patched


def regression(steps: int = 60) -> Loop:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(FEATURES, 16), nn.ReLU(), nn.Linear(16, 1))
    pairs = [(x, y.float()) for x, y in batches(24, 12)] * (steps // 2)
    return Loop(
        model, lambda out, y: nn.functional.mse_loss(out.squeeze(1), y), lambda p: torch.optim.Adam(p, 0.02), pairs
    )


def test_each_class_has_an_output(tmp_path: Path) -> None:
    control, loop = regression(), regression()
    without, done = patched(tmp_path, "", control), patched(tmp_path, f"head:{CLASSES}", loop)
    assert done.applied == {f"head:{CLASSES}": 59}, "the first call only finds the layer"
    assert loop.losses[0] == control.losses[0]
    (before, after) = (r.run.series(ERROR).values[-10:].mean() for r in (without, done))
    assert after < 0.5 * before, "of the chosen class, in the same unit"
    assert len(loop.optimizer.param_groups) == 2


def test_a_model_with_several_outputs_has_no_place(tmp_path: Path) -> None:
    x, _ = data(12)
    model = nn.Linear(FEATURES, 2)
    loop = Loop(model, nn.MSELoss(), pairs=[(x, torch.ones(12, 2))] * 4)
    assert patched(tmp_path, "head:3", loop).applied == {}
