"""Where ignored targets stand: at the end of rows, as padding, or between tokens that the model is given, too."""

from __future__ import annotations

import weakref

import pytest
import torch

from flightcheck.adapters.torch.padding import ignored_between

GENERATOR = torch.Generator().manual_seed(0)
LENGTHS = torch.randint(2, 7, (64, 1), generator=GENERATOR)
PADDED = torch.randint(1, 9, (64, 6), generator=GENERATOR) * (torch.arange(6) < LENGTHS)
DIGITS = torch.randint(0, 9, (512, 6), generator=GENERATOR)


def between(target: torch.Tensor, ids: torch.Tensor) -> float | None:
    return ignored_between(target, 0, [("", weakref.ref(ids))])


@pytest.mark.parametrize("rows", [PADDED, PADDED.flip(1)], ids=["behind", "before"])
def test_padding_has_none(rows: torch.Tensor) -> None:
    assert between(rows, rows) == 0
    assert between(rows.reshape(-1), rows) == 0, "flattened"
    assert between(rows[:, 1:].reshape(-1), rows) == 0, "what comes next"


def test_tokens_are_where_chance_puts_them() -> None:
    for target in (DIGITS, DIGITS.reshape(-1), DIGITS[:, 1:]):
        found = between(target, DIGITS)
        assert found is not None
        assert 0.8 < found < 1.2
    before = torch.cat([torch.full((512, 1), 9), DIGITS[:, :-1]], 1)  # what a decoder is given
    assert between(DIGITS, before) is not None


def test_nothing_is_told_of_labels_and_of_rows_without_an_inside() -> None:
    assert between(DIGITS, DIGITS.flip(0)) is None, "labels of words, and what was masked"
    assert between(DIGITS[:, :2], DIGITS[:, :2]) is None
    assert between(DIGITS.float(), DIGITS) is None
    assert between(DIGITS.clamp_min(1), DIGITS.clamp_min(1)) is None
