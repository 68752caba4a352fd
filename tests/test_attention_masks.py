"""Masks of attention as the learning pass sees them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import flightcheck
from flightcheck.recording.attention import AttentionMask

Mix = Callable[["Net", torch.Tensor, torch.Tensor], torch.Tensor]
STEPS = 6


class Net(nn.Module):
    def __init__(self, mix: Mix) -> None:
        super().__init__()
        self.words = nn.Embedding(9, 8, padding_idx=0)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        layer = nn.TransformerEncoderLayer(8, 2, 8, 0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.head = nn.Linear(8, 9)
        self.mix = mix

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        z = self.words(ids)
        y: torch.Tensor = self.head(z + self.mix(self, z, ids))
        return y


def masks(folder: Path, mix: Mix) -> list[AttentionMask]:
    torch.manual_seed(0)
    net = Net(mix)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.01)
    with flightcheck.watch(runs_dir=folder, report=False) as watched:
        for _ in range(STEPS):
            ids = torch.randint(1, 9, (8, 6))
            ids[torch.arange(6) >= torch.randint(2, 6, (8, 1))] = 0
            optimizer.zero_grad()
            F.cross_entropy(net(ids).flatten(0, 1), ids.flatten()).backward()
            optimizer.step()
    assert watched.run is not None
    assert not [b for b in watched.run.coverage.blind if "of Flightcheck itself" in b]
    return watched.run.recorded(AttentionMask)


def module(net: Net, z: torch.Tensor, **given: torch.Tensor) -> torch.Tensor:
    mixed: torch.Tensor = net.attention(z, z, z, **given)[0]
    return mixed


def by_hand(z: torch.Tensor, blocked: torch.Tensor) -> torch.Tensor:
    return (z @ z.transpose(1, 2)).masked_fill(blocked, -1e9).softmax(-1) @ z


PADDING: dict[str, Callable[[bool], Mix]] = {
    "module": lambda real: lambda net, z, ids: module(net, z, key_padding_mask=(ids != 0) == real),
    "encoder": lambda real: lambda net, z, ids: net.encoder(z, src_key_padding_mask=(ids != 0) == real),
    "function": lambda real: (
        lambda net, z, ids: F.scaled_dot_product_attention(
            z, z, z, attn_mask=((ids != 0) != real)[:, None, :].expand(-1, 6, -1)
        )
    ),
    "by hand": lambda real: lambda net, z, ids: by_hand(z, ((ids != 0) == real)[:, None]),
}


@pytest.mark.parametrize("real_tokens_blocked", [True, False])
@pytest.mark.parametrize("how", PADDING)
def test_padding_is_told_from_tokens(tmp_path: Path, how: str, real_tokens_blocked: bool) -> None:
    (mask,) = masks(tmp_path, PADDING[how](real_tokens_blocked))
    assert mask.calls == mask.padding_known == STEPS
    assert mask.padding_open == (STEPS if real_tokens_blocked else 0)
    assert mask.without_self == 0
    assert mask.location is not None
    assert Path(mask.location.file).name == Path(__file__).name


NEAR = (torch.arange(6)[:, None] - torch.arange(6)).abs() < 2
SQUARE: dict[str, tuple[Mix, bool]] = {
    "neighbours blocked": (lambda net, z, ids: module(net, z, attn_mask=NEAR), True),
    "all but neighbours blocked": (lambda net, z, ids: module(net, z, attn_mask=~NEAR), False),
    "only itself blocked": (lambda net, z, ids: module(net, z, attn_mask=torch.eye(6).bool()), False),
    "causal": (lambda net, z, ids: module(net, z, attn_mask=torch.triu(torch.full((6, 6), -math.inf), 1)), False),
    "function": (lambda net, z, ids: F.scaled_dot_product_attention(z, z, z, attn_mask=~NEAR), True),
    "function, causal": (
        lambda net, z, ids: F.scaled_dot_product_attention(z, z, z, attn_mask=torch.ones(6, 6).tril().bool()),
        False,
    ),
    "scores without themselves": (lambda net, z, ids: by_hand(z, NEAR), False),
}


@pytest.mark.parametrize("how", SQUARE)
def test_positions_that_do_not_see_themselves_are_counted(tmp_path: Path, how: str) -> None:
    mix, hidden = SQUARE[how]
    (mask,) = masks(tmp_path, mix)
    assert mask.without_self == (STEPS if hidden else 0)
    assert mask.padding_known == 0
