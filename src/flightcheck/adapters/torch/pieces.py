"""A tensor piece by piece: what converts its numbers makes a copy of one piece, and not of a billion parameters."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch

_MOST: Final = 2**22
"""Elements of a piece: 32 MB in double precision."""


def pieces(tensor: torch.Tensor) -> Iterator[torch.Tensor]:
    """All elements of a tensor, each once."""
    if tensor.numel() <= _MOST:
        yield tensor
    elif tensor.is_contiguous():
        yield from torch.split(tensor.view(-1), _MOST)
    else:
        rows = max(1, _MOST * tensor.shape[0] // tensor.numel())
        yield from torch.split(tensor, rows)
