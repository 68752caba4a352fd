"""The options of a loss call, however the script writes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.testing import verdict_of

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
CALLS: dict[str, tuple[Loss, str]] = {
    "reduction": (lambda p, t: F.mse_loss(p, t, reduction="sum"), "sum"),
    "usual": (lambda p, t: F.mse_loss(p, t), "mean"),
    "not averaged": (lambda p, t: F.mse_loss(p, t, size_average=False), "sum"),
    "by position": (lambda p, t: F.mse_loss(p, t, False), "sum"),
    "averaged": (lambda p, t: F.mse_loss(p, t, size_average=True), "mean"),
    "stronger": (lambda p, t: F.mse_loss(p, t, reduction="mean", size_average=False), "sum"),
    "not reduced": (lambda p, t: F.mse_loss(p, t, reduce=False).sum(), "none"),
    "module": (lambda p, t: nn.MSELoss(size_average=False)(p, t), "sum"),
}


def watched(folder: Path, loss: Loss) -> Any:
    with warnings.catch_warnings(), flightcheck.watch(runs_dir=folder, report=False) as seen:
        warnings.simplefilter("ignore")  # size_average is deprecated
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
        for _ in range(12):
            x = torch.randn(16, 4)
            optimizer.zero_grad()
            loss(model(x), x[:, :3]).backward()
            optimizer.step()
    return seen.run


@pytest.mark.parametrize("name", list(CALLS))
def test_the_reduction_is_the_one_that_counts(tmp_path: Path, name: str) -> None:
    loss, expected = CALLS[name]
    (site,) = watched(tmp_path, loss).loss_sites
    assert site.settings.get("reduction", "mean") == expected


def test_weights_of_classes_by_position(tmp_path: Path) -> None:
    weights = torch.tensor([1.0, 2.0, 8.0])
    run = watched(tmp_path, lambda p, t: F.cross_entropy(p, t.argmax(1), weights))
    assert run.loss_sites[0].settings["class_weights"] == [1.0, 2.0, 8.0]
    assert run.loss_sites[0].settings["weight_ratio"] == 8.0


@pytest.mark.filterwarnings("ignore:size_average")
def test_two_sums_written_the_old_way_are_no_mean(tmp_path: Path) -> None:
    """As the variational autoencoders of 2017: a sum, and a divergence that is a sum, too."""

    def loss(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
        error = F.binary_cross_entropy(torch.sigmoid(p), torch.sigmoid(t), size_average=False)
        return error + 0.5 * torch.sum(p.pow(2))

    run = watched(tmp_path, loss)
    assert verdict_of("L10", run).findings == ()
    assert verdict_of("L01", run).findings == ()


def test_the_line_that_makes_the_module(tmp_path: Path) -> None:
    def made(count: int) -> Any:
        criteria: list[Any] = []

        def loss(p: torch.Tensor, t: torch.Tensor) -> torch.Tensor:
            if not criteria:
                criteria.append(nn.CrossEntropyLoss())
                criteria.extend([nn.CrossEntropyLoss()] if count > 1 else [])
            return criteria[0](p, t.argmax(1))

        return watched(tmp_path / str(count), loss).loss_sites[0]

    one = made(1)
    assert "criteria.append(nn.CrossEntropyLoss())" in one.module_location.code
    assert "criteria[0](p" in one.location.code
    assert made(2).module_location is None, "which of the two?"
