"""Scores of an attention in the first step: what multiplies them, and how far apart they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import flightcheck
from flightcheck.recording.attention_scales import AttentionScale

WIDTH, LENGTH = 16, 10


class Attention(nn.Module):
    def __init__(self, scores: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.query, self.key, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.scores = scores

    def forward(self, x: Tensor) -> Tensor:
        weights = self.scores(self.query(x), self.key(x)).softmax(-1)
        return self.out(weights @ x)


def right(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.transpose(1, 2) / math.sqrt(WIDTH)


def turned_round(q: Tensor, k: Tensor) -> Tensor:
    return torch.bmm(q, k.transpose(1, 2)) * math.sqrt(WIDTH)


def on_the_query(q: Tensor, k: Tensor) -> Tensor:
    q = q * WIDTH**0.5
    return torch.einsum("bid,bjd->bij", q, k)


def masked(q: Tensor, k: Tensor) -> Tensor:
    scores = (q @ k.transpose(1, 2)) * 4.0
    hidden = torch.ones(LENGTH, LENGTH, dtype=torch.bool).triu(1)
    return scores.masked_fill(hidden, float("-inf")) + torch.zeros(LENGTH, LENGTH)


def without(q: Tensor, k: Tensor) -> Tensor:
    return q @ k.mT


def cosines(q: Tensor, k: Tensor) -> Tensor:
    return 10 * nn.functional.normalize(q, dim=-1) @ nn.functional.normalize(k, dim=-1).mT


def added(q: Tensor, k: Tensor) -> Tensor:
    return (q.unsqueeze(2) + k.unsqueeze(1)).tanh().sum(-1)


def found_in(scores: Callable[[Tensor, Tensor], Tensor], folder: Path) -> list[AttentionScale]:
    torch.manual_seed(0)
    net = Attention(scores)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            net(torch.randn(8, LENGTH, WIDTH)).pow(2).mean().backward()
            optimizer.step()
    assert watched.run is not None
    return watched.run.recorded(AttentionScale)


@pytest.mark.parametrize(
    ("scores", "factor"),
    [(right, 0.25), (turned_round, 4), (on_the_query, 4), (masked, 4), (without, 1)],
)
def test_the_constants_are_found(scores: Callable[[Tensor, Tensor], Tensor], factor: float, tmp_path: Path) -> None:
    (found,) = found_in(scores, tmp_path)
    assert (found.width, found.keys) == (WIDTH, LENGTH)
    assert found.factor == pytest.approx(factor)
    assert found.spread == pytest.approx(1.33 * factor, rel=0.25)  # default layers: 1/√3 each, and the root of 16
    assert found.location is not None and "softmax(-1)" in found.location.code
    line = found.factor_location
    assert (line is None) == (factor == 1)


@pytest.mark.parametrize("scores", [cosines, added])
def test_cosines_and_sums_are_left_out(scores: Callable[[Tensor, Tensor], Tensor], tmp_path: Path) -> None:
    assert found_in(scores, tmp_path) == []


def test_a_checkpointed_attention_is_not_computed_once_more(tmp_path: Path) -> None:
    """What a node saved is not read: its hooks would run the block again, and move the running statistics."""
    torch.manual_seed(0)
    counts: list[int] = []

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.norm = Attention(turned_round), nn.BatchNorm1d(WIDTH)

        def forward(self, x: Tensor) -> Tensor:
            counts.append(1)
            return self.norm(self.attention(x).transpose(1, 2))

    block, head = Block(), nn.Linear(LENGTH, 1)
    with flightcheck.watch(runs_dir=tmp_path, report=False) as watched:
        optimizer = torch.optim.SGD([*block.parameters(), *head.parameters()], lr=0.1)
        for _ in range(3):
            optimizer.zero_grad()
            h = checkpoint(block, torch.randn(8, LENGTH, WIDTH), use_reentrant=False)
            head(h).pow(2).mean().backward()
            optimizer.step()
    assert len(counts) == 6, "forward and recomputation of three steps"
    assert watched.run is not None and len(watched.run.recorded(AttentionScale)) == 1
