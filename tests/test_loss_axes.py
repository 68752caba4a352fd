"""The class axis of a loss, followed back through views to the layer."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.axes import axes_of

N, T, C = 3, 5, 7
ROWS = torch.randn(N, T, 4)
IMAGES = torch.randn(N, 2, 4, 6)
LINEAR, BARE, CONV = nn.Linear(4, C), nn.Linear(4, C, bias=False), nn.Conv2d(2, C, 1)


@pytest.mark.parametrize(
    ("prediction", "relation"),
    [
        (LINEAR(ROWS[:, 0]), "same"),
        (LINEAR(ROWS).transpose(1, 2), "same"),
        (LINEAR(ROWS).view(-1, C), "same"),
        (BARE(ROWS).view(-1, C), "same"),
        (LINEAR(ROWS)[..., :-1, :].contiguous().view(-1, C), "same"),
        (LINEAR(ROWS.transpose(0, 1)).permute(1, 2, 0), "same"),
        (LINEAR(ROWS[:, :1]).squeeze(1), "same"),
        (LINEAR(ROWS[:, 0]).unsqueeze(2), "same"),
        (F.log_softmax(LINEAR(ROWS), -1).transpose(1, 2), "same"),
        (LINEAR(ROWS).reshape(N, C, T), "mixed"),
        (BARE(ROWS).reshape(N, C, T), "mixed"),
        (nn.Linear(4, T)(ROWS), "other"),
        (CONV(IMAGES), "same"),
        (CONV(IMAGES).flatten(2), "same"),
        (CONV(IMAGES).permute(0, 2, 3, 1).reshape(-1, C), "same"),
        (CONV(torch.randn(N, 2, 1, 1)).flatten(1), "same"),
        (CONV(IMAGES).view(-1, C), "mixed"),
        (CONV(IMAGES).reshape(N, 4, 6, C).permute(0, 3, 1, 2), "mixed"),
        (nn.GRU(4, C, batch_first=True)(ROWS)[0].reshape(-1, C), ""),
        (LINEAR(ROWS)[torch.ones(N, T, dtype=torch.bool)], "same"),
        (LINEAR(ROWS[:, 0])[torch.tensor([2, 0, 0, 1])], "same"),
        (LINEAR(ROWS[:, 0]).index_select(0, torch.tensor([2, 0])), "same"),
        (LINEAR(ROWS)[torch.tensor([2, 0])].transpose(1, 2), "same"),
        (LINEAR(ROWS)[:, torch.tensor([2, 0])].transpose(1, 2), ""),
        (LINEAR(ROWS[:, 0]).index_select(1, torch.tensor([2, 0])), ""),
    ],
)
def test_relation_of_the_axes(prediction: torch.Tensor, relation: str) -> None:
    assert axes_of(0, 0, prediction, torch.zeros(1), axis=1, lines={}).relation == relation


@pytest.mark.parametrize(("dim", "differs"), [(-1, False), (1, False), (0, True)])
def test_softmax_over_another_axis(dim: int, differs: bool) -> None:
    prediction = F.log_softmax(LINEAR(ROWS[:, 0]), dim)
    assert axes_of(0, 0, prediction, torch.zeros(1), axis=1, lines={}).softmax_differs == differs


def test_softmax_over_another_axis_before_rows_are_chosen() -> None:
    prediction = F.log_softmax(LINEAR(ROWS[:, 0]), 0)[torch.tensor([0, 2])]
    axes = axes_of(0, 0, prediction, torch.zeros(1), axis=1, lines={})
    assert (axes.relation, axes.softmax_differs, axes.softmax_dim) == ("same", True, 0)


def test_sums_of_a_target_of_the_same_shape() -> None:
    target = torch.eye(C)[torch.randint(0, C, (N, T))]
    axes = axes_of(0, 0, LINEAR(ROWS), target, axis=1, lines={})
    assert axes.target_sum_error_last == 0.0
    assert axes.target_sum_error_classes and axes.target_sum_error_classes > 0.1
