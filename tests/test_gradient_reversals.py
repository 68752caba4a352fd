"""Layers that turn the gradient round, by their source."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.provenance.reversals import reverses_gradients

FUNCTION = """
class Own(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, scale):
        ctx.scale = scale
        return x.view_as(x)

    @staticmethod
    def backward(ctx, grad):
        {body}
"""


@pytest.mark.parametrize(
    ("body", "reverses"),
    [
        ("return -ctx.scale * grad, None", True),
        ("return grad.neg() * ctx.scale, None", True),
        ("out = grad.clone() * -ctx.scale; return out, None", True),
        ("return -grad", True),
        ("return grad * ctx.scale, None", False),
        ("return -grad / ctx.x ** 2, None", False),  # of 1 / x
        ("return -grad * torch.sin(ctx.x), None", False),
        ("return grad, -ctx.scale", False),
    ],
)
def test_what_backward_returns(body: str, reverses: bool, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(FUNCTION.format(body=body))
    assert reverses_gradients(str(file)) is reverses


@pytest.mark.parametrize(
    ("code", "reverses"),
    [("h.register_hook(lambda g: -0.1 * g)", True), ("h.register_hook(lambda g: g.clamp(-1, 1))", False), ("(", False)],
)
def test_hooks(code: str, reverses: bool, tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text(code)
    assert reverses_gradients(str(file)) is reverses


class Turned(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> torch.Tensor:
        return grads[0].neg()


@pytest.mark.parametrize("labelled", [False, True])
def test_players_in_one_loss_are_opponents_where_nothing_else_is_learned(labelled: bool, tmp_path: Path) -> None:
    torch.manual_seed(0)
    maker, judge, classes = nn.Linear(3, 2), nn.Linear(2, 1), nn.Linear(2, 4)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD([*maker.parameters(), *judge.parameters(), *classes.parameters()], lr=0.01)
        for _ in range(6):
            made = maker(torch.randn(8, 3))
            loss = F.softplus(judge(Turned.apply(made))).mean() + F.softplus(-judge(torch.randn(8, 2))).mean()
            if labelled:  # domain-adversarial training: the cross-entropy tells how well it goes
                loss = loss + F.cross_entropy(classes(made), torch.randint(4, (8,)))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert watched.run is not None
    assert watched.run.in_regime("gan") is not labelled
