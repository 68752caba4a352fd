"""Patch of a position encoding that was cut by the batch: each token gets the encoding of its own position."""

from __future__ import annotations

from typing import Any, Final

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch

_SUMS: Final = {"add", "__add__", "__radd__", "add_", "__iadd__", "mul", "__mul__", "__rmul__"}


def place(b: Boundaries, patch: Patch) -> None:
    """``place:train.py:31``: a sum there of (batch, time, features) and a slice (batch, 1, features) of a longer table.

    The first rows of the table are taken for the positions in time.

    Raises:
        ValueError: the value is none of this form.
    """
    if not patch.value.rpartition(":")[2].isdigit():
        raise ValueError(f"place: a value such as train.py:31 wanted, but got {patch.value!r}")

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        tensors = name in _SUMS and len(args) > 1 and all(isinstance(a, torch.Tensor) for a in args[:2])
        if tensors and b.is_at(patch.value):
            one, other = args[:2]
            if (cut := _by_time(one, other)) is not None:
                b.acted(patch)
                args = (one, cut, *args[2:])
            elif (cut := _by_time(other, one)) is not None:
                b.acted(patch)
                args = (cut, other, *args[2:])
        return function(*args, **kwargs)

    b.at_operations(operation)


def _by_time(x: torch.Tensor, places: torch.Tensor) -> torch.Tensor | None:
    """The encoding of each position, for a slice with a row per example."""
    if x.dim() != 3 or places.shape != (x.shape[0], 1, x.shape[2]):
        return None
    table = places._base
    while table is not None and table.dim() == 3 and table.shape[1] != 1 and table._base is not None:
        table = table._base
    if table is None or table.dim() != 3 or table.shape[1:] != (1, x.shape[2]) or len(table) < x.shape[1]:
        return None
    return table[: x.shape[1]].transpose(0, 1)
