"""The probe that lets the examples of a batch change places, and the line at which the place gets in."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.probes.batch_place import place_in_batch
from flightcheck.recording.records import Location

SOURCE = Path(__file__).read_text(encoding="utf-8").splitlines()
ROWS, TIME, WIDTH = 8, 5, 6


def here() -> Location | None:
    """The innermost line of this file."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename != __file__:
        frame = frame.f_back  # type: ignore[assignment]
    return Location(__file__, frame.f_lineno) if frame is not None else None


class Model(nn.Module):
    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.layer = nn.TransformerEncoderLayer(WIDTH, 2, 12, batch_first=True)
        self.rnn = nn.GRU(WIDTH, WIDTH, batch_first=True)
        self.pe = torch.randn(32, 1, WIDTH, dtype=torch.float64)
        self.heads = nn.ModuleList(nn.Linear(WIDTH, WIDTH) for _ in range(4))

    def forward(self, x: torch.Tensor, more: Any = None) -> torch.Tensor:
        if self.kind == "by batch":
            x = x + self.pe[: x.size(0)]  # by batch
        elif self.kind == "late":
            x = self.layer(x)
            x = x * (1 + torch.linspace(0, 1, len(x), dtype=x.dtype)[:, None, None])  # late
        elif self.kind == "by time":
            x = x + self.pe[: x.size(1)].transpose(0, 1)
        elif self.kind == "halves":
            one, other = x.chunk(2)
            x = torch.cat([self.heads[0](one), self.heads[1](other)])
        elif self.kind == "ensemble":
            x = torch.stack([self.heads[i % 4](row) for i, row in enumerate(x)])
        elif self.kind == "noise":
            x = x + torch.randn_like(x)
        elif self.kind == "state":
            return self.rnn(x, more)[0]  # type: ignore[no-any-return]
        out: torch.Tensor = self.layer(x)
        return out


def call(model: nn.Module, given: Any) -> torch.Tensor:
    torch.manual_seed(0)
    output = first_tensor(model(*given[0], **given[1]))
    assert output is not None
    return output


def asked(kind: str, *more: Any, x: torch.Tensor | None = None) -> dict[str, Any]:
    torch.manual_seed(0)
    model = Model(kind).eval().double()
    x = torch.randn(ROWS, TIME, WIDTH, dtype=torch.float64) if x is None else x
    given = ((x, *more), {})
    with torch.no_grad():
        return place_in_batch(model, given, call(model, given), dim=0, call=call, here=here)


@pytest.mark.parametrize("kind", ["by batch", "late"])
def test_the_place_is_seen_and_its_line_found(kind: str) -> None:
    found = asked(kind)
    assert found["place"] > 1e-3
    assert SOURCE[found["place_at"]["line"] - 1].endswith(f"# {kind}")


@pytest.mark.parametrize("rows", [ROWS, TIME], ids=["", "as many rows as steps"])
def test_encodings_of_time_are_no_places(rows: int) -> None:
    found = asked("by time", x=torch.randn(rows, TIME, WIDTH, dtype=torch.float64))
    assert found["place"] <= 1e-7


@pytest.mark.parametrize("kind", ["halves", "ensemble"])
def test_rows_with_different_tasks_are_no_places(kind: str) -> None:
    assert asked(kind) == {"place": 0.0}


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("noise", ()),
        ("state", (torch.randn(1, ROWS, WIDTH, dtype=torch.float64),)),  # lies on another axis
        ("", ([5] * ROWS,)),  # lengths, say
        ("", (torch.ones(ROWS, ROWS),)),
        ("", (object(),)),
    ],
    ids=["noise", "state", "list", "square", "object"],
)
def test_what_cannot_be_asked_says_nothing(kind: str, more: tuple[Any, ...]) -> None:
    assert asked(kind, *more) == {}
