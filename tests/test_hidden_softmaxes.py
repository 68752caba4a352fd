"""Softmaxes between layers: what goes straight into a layer, and what is multiplied with something."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import flightcheck
from flightcheck.recording.hidden_softmaxes import HiddenSoftmax


class Net(nn.Module):
    def __init__(self, between: Callable[[Tensor], Tensor], bias: bool) -> None:
        super().__init__()
        self.one, self.two, self.between = nn.Linear(6, 8), nn.Linear(8, 3, bias=bias), between

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.between(self.one(x)))


def plain(h: Tensor) -> Tensor:
    return F.softmax(h, dim=1)


def dropped(h: Tensor) -> Tensor:
    return F.dropout(h.softmax(-1), 0.2)


def gated(h: Tensor) -> Tensor:
    return h * h.softmax(-1)


def over_examples(h: Tensor) -> Tensor:
    return h.softmax(0)


@pytest.mark.parametrize(
    ("between", "bias", "told"),
    [
        (plain, True, True),
        (dropped, True, True),
        (nn.Softmax(dim=1), True, True),
        (plain, False, False),  # a table of weights that are averaged
        (gated, True, False),
        (over_examples, True, False),
        (F.relu, True, False),
    ],
)
def test_what_goes_straight_into_a_layer_is_told(
    between: Callable[[Tensor], Tensor], bias: bool, told: bool, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    net = Net(between, bias)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(4):
            optimizer.zero_grad()
            F.cross_entropy(net(torch.randn(16, 6)), torch.randint(3, (16,))).backward()
            optimizer.step()
    assert watched.run is not None
    found = watched.run.recorded(HiddenSoftmax)
    assert bool(found) is told
    assert all((s.features, s.layers, s.calls) == (8, 1, 4) for s in found)
    if isinstance(between, nn.Module):
        module = watched.run.module(found[0].module)
        assert module is not None and module.type == "Softmax"
