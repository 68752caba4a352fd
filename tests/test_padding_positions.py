"""Where ignored targets stand: at the end of rows, as padding, or between tokens."""

from __future__ import annotations

import weakref

import torch

from flightcheck.adapters.torch.padding import ignored_between

ROWS = torch.tensor([[3, 1, 0, 0], [2, 4, 1, 0], [5, 1, 2, 3]])
MIDST = torch.tensor([[3, 0, 2, 1], [2, 4, 0, 1], [0, 1, 2, 3]])


def share(target: torch.Tensor, shape: tuple[int, ...]) -> float | None:
    given = torch.zeros(shape)
    return ignored_between(target, 0, [("", weakref.ref(given))])


def test_padding_has_none() -> None:
    assert share(ROWS, (3, 4)) == 0
    assert share(ROWS.reshape(-1), (3, 7)) == 0, "flattened, rows of examples"
    assert share(ROWS.T.reshape(-1), (4, 3)) == 0, "positions first"
    assert share(ROWS.flip(1).reshape(-1), (3, 4)) == 0, "at the beginning"


def test_tokens_have_some() -> None:
    assert share(MIDST, (3, 4)) == 1 / 3, "read by columns, two of them stand at an end"
    assert share(MIDST.reshape(-1), (3, 4)) == 2 / 3


def test_without_rows_nothing_is_told() -> None:
    assert share(MIDST.reshape(-1), (12,)) is None
    assert share(MIDST.reshape(-1), (5, 2)) is None
    assert share(MIDST.float(), (3, 4)) is None
    assert share(torch.ones(3, 4, dtype=torch.long), (3, 4)) is None
