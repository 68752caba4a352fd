"""Predictions and targets that are flattened from the same axes in different orders, in real trainings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.recording.layouts import CrossedRows, merged_axes
from tests.lab.made import CLASSES, FEATURES, Loop, equal, patched

TIME, BATCH = 5, 6
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def training(loss: Loss, time: int = TIME) -> Loop:
    """Logits (time, batch, classes), labels (time, batch)."""
    torch.manual_seed(0)
    made = torch.Generator().manual_seed(0)
    x = torch.randn(8, time, BATCH, FEATURES, generator=made)
    return Loop(nn.Linear(FEATURES, CLASSES), loss, pairs=list(zip(x, x[..., :CLASSES].argmax(-1), strict=True)))


def turned(out: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(out.transpose(0, 1).reshape(-1, CLASSES), y.reshape(-1))  # crossed


CROSSED: dict[str, Loss] = {
    "prediction": turned,
    "target": lambda out, y: F.cross_entropy(out.flatten(0, 1), y.t().flatten()),
    "one number each": lambda out, y: F.mse_loss(out[..., 0].t().flatten(), y.float().view(-1)),
}
RIGHT: dict[str, Loss] = {
    "time first": lambda out, y: F.cross_entropy(out.reshape(-1, CLASSES), y.reshape(-1)),
    "both turned": lambda out, y: F.cross_entropy(out.transpose(0, 1).reshape(-1, CLASSES), y.t().reshape(-1)),
    "of other axes": lambda out, y: F.cross_entropy(out.view(-1, CLASSES), y.view(TIME, 2, 3).view(-1)),
    "chosen rows": lambda out, y: F.cross_entropy(out.view(-1, CLASSES)[:9], y.view(-1)[:9]),
    "axes of a loss": lambda out, y: F.cross_entropy(out.permute(1, 2, 0), y.t()),
}


@pytest.mark.parametrize("name", CROSSED)
def test_rows_that_do_not_belong_together(name: str, tmp_path: Path) -> None:
    (found,) = patched(tmp_path, "", training(CROSSED[name])).run.recorded(CrossedRows)
    assert sorted(found.prediction_axes) == [TIME, BATCH]
    assert found.prediction_axes == found.target_axes[::-1]
    assert found.calls >= 3
    assert found.location is not None


@pytest.mark.parametrize("name", RIGHT)
def test_rows_that_do(name: str, tmp_path: Path) -> None:
    assert patched(tmp_path, "", training(RIGHT[name])).run.recorded(CrossedRows) == []


def test_axes_of_one_size_tell_nothing(tmp_path: Path) -> None:
    assert patched(tmp_path, "", training(turned, time=BATCH)).run.recorded(CrossedRows) == []


def test_the_trial_flattens_the_target_in_the_order_of_the_prediction(tmp_path: Path) -> None:
    right, wrong, mended = (training(RIGHT["both turned"]), training(turned), training(turned))
    right()
    wrong()
    source = Path(__file__).read_text(encoding="utf-8").splitlines()
    line = next(i for i, text in enumerate(source, 1) if text.endswith("# crossed"))
    done = patched(tmp_path, f"axes:target=1.0:{Path(__file__).name}:{line}", mended)
    assert done.applied
    assert equal(mended.weights, right.weights)
    assert not equal(wrong.weights, right.weights)


def test_merged_axes() -> None:
    assert merged_axes((4, 6, 3), 24) == (4, 6)
    assert merged_axes((4, 1, 6), 24) == (4, 6)
    assert merged_axes((4, 6), 8) is None
