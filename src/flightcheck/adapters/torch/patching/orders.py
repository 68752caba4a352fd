"""The patch of rows that were picked by an order and are picked by it once more, where they are to be put back."""

from __future__ import annotations

from typing import Any

import torch

from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def inverse_order(b: Boundaries, patch: Patch) -> None:
    """``inverse-order:train.py:60``: rows that this line picks by an order are picked by its inverse."""

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        if name not in ("__getitem__", "index_select") or len(args) < 2 or not b.is_at(patch.value):
            return function(*args, **kwargs)
        changed = tuple(_inverse(a) for a in args[1:])
        if any(one is not other for one, other in zip(changed, args[1:], strict=True)):
            b.acted(patch)
        return function(args[0], *changed, **kwargs)

    b.at_operations(operation)


def _inverse(index: Any) -> Any:
    if isinstance(index, tuple):
        parts = tuple(_inverse(i) for i in index)
        return parts if any(p is not i for p, i in zip(parts, index, strict=True)) else index
    if not isinstance(index, torch.Tensor) or index.dim() != 1 or index.dtype != torch.int64:
        return index
    inverse = torch.argsort(index)
    return inverse if torch.equal(index[inverse], torch.arange(len(index), device=index.device)) else index
