"""Where ignored targets stand: at the end of rows, as padding, or between tokens."""

from __future__ import annotations

import pytest
import torch

from flightcheck.adapters.torch.padding import ignored_between

GENERATOR = torch.Generator().manual_seed(0)
LENGTHS = torch.randint(2, 7, (64, 1), generator=GENERATOR)
PADDED = torch.randint(1, 9, (64, 6), generator=GENERATOR) * (torch.arange(6) < LENGTHS)
DIGITS = torch.randint(0, 9, (512, 6), generator=GENERATOR)


@pytest.mark.parametrize("padded", [PADDED, PADDED.flip(1)], ids=["behind", "before"])
def test_padding_has_none(padded: torch.Tensor) -> None:
    assert ignored_between(padded, 0) == 0
    assert ignored_between(padded.T, 0) == 0, "positions first"
    assert ignored_between(padded.reshape(-1), 0) == 0, "flattened"
    assert ignored_between(padded.T.reshape(-1), 0) == 0


def test_tokens_are_where_chance_puts_them() -> None:
    for target in (DIGITS, DIGITS.T, DIGITS.reshape(-1), DIGITS.T.reshape(-1)):
        between = ignored_between(target, 0)
        assert between is not None
        assert 0.6 < between < 1.3


def test_without_rows_nothing_is_told() -> None:
    assert ignored_between(torch.tensor([1, 0, 2, 0, 3]), 0) is None
    assert ignored_between(DIGITS.float(), 0) is None
    assert ignored_between(DIGITS.clamp_min(1), 0) is None
