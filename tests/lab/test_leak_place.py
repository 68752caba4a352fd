"""The line at which later tokens reach earlier outputs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from flightcheck.adapters.torch.probes.leak_place import leak_place
from flightcheck.recording.records import Location

SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()


def here() -> Location | None:
    """The innermost line of this file."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back  # type: ignore[assignment]
    return Location(__file__, frame.f_lineno) if frame is not None else None


class Head(nn.Module):
    def __init__(self, *, causal: bool) -> None:
        super().__init__()
        self.query, self.out, self.causal = nn.Linear(8, 8), nn.Linear(8, 8), causal

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = self.query(x) @ x.transpose(1, 2)
        if self.causal:
            scores = scores.masked_fill(torch.ones_like(scores[0]).triu(1).bool(), float("-inf"))
        weights = F.softmax(scores, -1)  # attends
        return self.out(weights @ x)


class Pool(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + x.mean(1, keepdim=True)


class Model(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.tokens, self.kind = nn.Embedding(9, 8), kind
        self.layers = nn.ModuleList([Head(causal=True), Head(causal=kind != "own")])
        self.library = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 1)
        self.time_first = nn.LSTM(8, 4, bidirectional=True)
        self.pool = Pool()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.tokens(ids)
        for layer in self.layers:
            x = layer(x)
        if self.kind == "library":
            x = self.library(x)  # library
        elif self.kind == "time first":
            x = self.time_first(x.transpose(0, 1))[0].transpose(0, 1)  # time first
        elif self.kind == "pool":
            x = self.pool(x)  # pool
        return x


@pytest.mark.parametrize(
    ("kind", "comment"),
    [("own", "# attends"), ("library", "# library"), ("time first", "# time first"), ("pool", "# pool"), ("", None)],
)
def test_the_line_at_which_the_future_gets_in(kind: str, comment: str | None) -> None:
    torch.manual_seed(0)
    model = Model(kind).eval().double()
    ids = torch.randint(0, 9, (5, 6))
    other = torch.cat([ids[:, :3], torch.roll(ids[:, 3:], 1, 0)], 1)
    with torch.no_grad():
        place = leak_place(model, lambda replaced: model(other if replaced else ids), (5, 6), 3, here)
    expected = None if comment is None else next(n for n, t in enumerate(SOURCE, 1) if t.endswith(f"  {comment}"))
    assert (place.line if place else None) == expected
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
