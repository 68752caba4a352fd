"""What is kept of a tensor, to know it again: its shape and sixteen of its values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeAlias

import torch

from flightcheck.adapters.torch.watch import is_plain_tensor

_MOST_TENSORS: Final = 20_000

Print: TypeAlias = tuple[tuple[int, ...], tuple[float, ...]]
"""Shape and sixteen values of a tensor."""


def print_of(tensor: torch.Tensor) -> Print:
    """Shape and sixteen values, spread evenly."""
    shape = tuple(tensor.shape)
    if not is_plain_tensor(tensor) or not tensor.numel() or type(tensor.detach()) is not torch.Tensor:
        return shape, ()
    flat = tensor.detach().reshape(-1)
    return shape, tuple(flat[:: max(1, flat.numel() // 16)][:16].double().tolist())


def prints_of(tensors: Iterable[tuple[str, torch.Tensor]]) -> dict[str, Print]:
    """`print_of` by name, of the first 20 000."""
    return {name: print_of(t) for (name, t), _ in zip(tensors, range(_MOST_TENSORS))}


def tables_of(value: Any, depth: int = 0) -> Iterable[Mapping[str, torch.Tensor]]:
    """The dictionaries in something read from a file that name tensors, up to two levels deep."""
    if not isinstance(value, Mapping):
        return
    tensors = {k: v for k, v in value.items() if isinstance(k, str) and isinstance(v, torch.Tensor)}
    if tensors:
        yield tensors
    elif depth < 2:
        for inner in list(value.values())[:16]:
            yield from tables_of(inner, depth + 1)
