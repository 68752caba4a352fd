"""Overlaps of boxes in evaluations: from corners, or by mistake from centre and size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

import flightcheck
from flightcheck.testing import verdict_of

GENERATOR = torch.Generator().manual_seed(0)
SIZES = 0.1 + 0.2 * torch.rand(40, 2, generator=GENERATOR)
BOXES = torch.cat([SIZES / 2 + (1 - SIZES) * torch.rand(40, 2, generator=GENERATOR), SIZES], 1)
X = torch.cat([BOXES, torch.randn(40, 2, generator=GENERATOR)], 1)


def corners(boxes: Tensor) -> Tensor:
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1)


def overlap(one: Tensor, other: Tensor) -> Tensor:
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    return (high - low).clamp(min=0).prod(1)


def of_all(one: Tensor, other: Tensor) -> Tensor:
    left = torch.max(one[:, None, 0], other[None, :, 0])
    right = torch.min(one[:, None, 2], other[None, :, 2])
    return (right - left).clamp(min=0)


def largest(one: Tensor, other: Tensor) -> Tensor:
    return torch.maximum(one[:, :2], other[:, :2])


def turned_with(measure: Callable[[Tensor, Tensor], Tensor], made: bool, data: bool, folder: Path) -> list[float]:
    """The shares of boxes that would lie the wrong way round, of the findings.

    Args:
        measure: of the two.
        made: the model's boxes are turned into corners first.
        data: so are those of the data.
        folder: of runs.
    """
    torch.manual_seed(0)
    model = nn.Linear(6, 4)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(X), BOXES).backward()
            optimizer.step()
            with torch.no_grad():
                out = model(X)
                measure(corners(out) if made else out, corners(BOXES) if data else BOXES)
    assert watched.run is not None
    found = verdict_of("T09", watched.run).findings
    return [f.evidence["turned"] / f.evidence["boxes"] for f in found]


def test_true_boxes_that_are_no_corners_are_seen(tmp_path: Path) -> None:
    (share,) = turned_with(overlap, True, False, tmp_path)
    assert share > 0.8
    assert len(turned_with(overlap, False, False, tmp_path)) == 1
    assert len(turned_with(of_all, True, False, tmp_path)) == 1


def test_corners_and_other_things_are_not(tmp_path: Path) -> None:
    assert turned_with(overlap, True, True, tmp_path) == []
    assert turned_with(overlap, False, True, tmp_path) == []  # a model's own boxes may lie in any way
    assert turned_with(of_all, True, True, tmp_path) == []
    assert turned_with(largest, True, False, tmp_path) == []
