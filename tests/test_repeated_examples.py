"""One call with each example several times: dropout is sampled on purpose."""

from __future__ import annotations

import pytest
import torch

from flightcheck.adapters.torch.phases import _holds_copies

ROWS = torch.randn(6, 3, generator=torch.Generator().manual_seed(0))
CASES = [
    (ROWS.repeat(4, 1), True),
    (ROWS.repeat_interleave(4, 0), True),
    (ROWS.expand(4, 6, 3), True),
    (torch.cat([ROWS, ROWS]), True),
    (ROWS, False),
    (torch.cat([ROWS, ROWS[:3]]), False),
    (torch.cat([ROWS, ROWS.flip(0)]), False),
    (torch.cat([ROWS[:1], ROWS]), False),
    (torch.ones(6), False),
]


@pytest.mark.parametrize(("batch", "copies"), CASES)
def test_batches_of_copies(batch: torch.Tensor, copies: bool) -> None:
    assert _holds_copies(batch) == copies
