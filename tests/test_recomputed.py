"""Activation checkpointing: a forward pass that runs again inside the backward is one pass of the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.checkpoint import checkpoint

import flightcheck
from flightcheck.recording.run import Run
from flightcheck.recording.signals import ACTIVATION_RMS, LOSS

STEPS = 24
LossOf = Callable[[nn.Module, torch.Tensor, torch.Tensor], torch.Tensor]


class Blocks(nn.Module):
    """Two blocks, which are computed twice where the caller asks for it."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Linear(8, 8)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.1)) for _ in range(2))
        self.head = nn.Linear(8, 3)
        self.reentrant: bool | None = None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.enter(x)
        for block in self.blocks:
            x = block(x) if self.reentrant is None else checkpoint(block, x, use_reentrant=self.reentrant)
        return self.head(x)


def plain(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(model(x), y)


def whole_model(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(checkpoint(model, x.requires_grad_(), use_reentrant=True), y)


def with_its_loss(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return checkpoint(lambda a: plain(model, a, y), x.requires_grad_(), use_reentrant=True)


def trained(loss_of: LossOf, reentrant: bool | None = None) -> nn.Module:
    torch.manual_seed(0)
    model = Blocks()
    model.reentrant = reentrant
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(STEPS):
        x = torch.randn(16, 8)
        optimizer.zero_grad()
        loss_of(model, x, (x.sum(1) > 0).long()).backward()
        optimizer.step()
    return model


def watched(folder: Path, loss_of: LossOf, reentrant: bool | None = None) -> Run:
    """The run, of which the weights are those of the same training without a watcher."""
    bare = trained(loss_of, reentrant).state_dict()
    with flightcheck.watch(runs_dir=folder, report=False) as seen:
        model = trained(loss_of, reentrant)
    assert all(torch.equal(value, bare[name]) for name, value in model.state_dict().items())
    assert seen.run is not None
    return seen.run


@pytest.mark.parametrize(
    ("loss_of", "reentrant"),
    [(plain, True), (plain, False), (whole_model, None), (with_its_loss, None)],
    ids=["blocks, reentrant", "blocks", "model, reentrant", "model and loss, reentrant"],
)
def test_a_repeated_pass_is_one_training_call(tmp_path: Path, loss_of: LossOf, reentrant: bool | None) -> None:
    run = watched(tmp_path, loss_of, reentrant)
    assert run.coverage.blind == []
    assert run.coverage.modules_seen == run.coverage.modules == 8
    assert (run.info.steps, run.info.backwards, run.info.evaluations) == (STEPS, STEPS, 0)
    assert [(r.train_calls, r.eval_calls) for r in run.roots] == [(STEPS, 0)]
    assert [s.train_calls for s in run.loss_sites] == [STEPS]
    assert all(p.in_graph for p in run.parameters)
    assert run.graph_cuts == []
    assert len(run.series(LOSS).steps) == STEPS
    largest = run.table(ACTIVATION_RMS).values.max(0)
    assert all(largest[m.index] > 0 for m in run.modules if m.leaf)


def test_a_pass_of_which_no_input_has_a_gradient_is_cut_off(tmp_path: Path) -> None:
    """PyTorch gives the parameters inside none, and says so in a warning only."""

    def loss_of(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        inner, head = model.blocks[0], model.head  # type: ignore[union-attr,index]
        return F.cross_entropy(head(checkpoint(inner, x, use_reentrant=True)), y)  # type: ignore[operator]

    with pytest.warns(UserWarning, match="Gradients will be None"):
        run = watched(tmp_path, loss_of)
    assert not any(p.in_graph for p in run.parameters if len(p.shape) == 2 and p.shape[0] == 8)
    assert run.info.evaluations == 0
