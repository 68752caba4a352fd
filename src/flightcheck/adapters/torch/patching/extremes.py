"""Patch of a minimum or maximum in which the zeros of a mask take part."""

from __future__ import annotations

import weakref
from typing import Any

import torch

from flightcheck.adapters.torch.masked_extremes import EXTREMES, MOST_PRODUCTS, PRODUCTS, dimension_of, kept_of, mask_of
from flightcheck.adapters.torch.patching.boundaries import Arguments, Boundaries
from flightcheck.patch import Patch


def extreme(b: Boundaries, patch: Patch) -> None:
    """``extreme:train.py:31``: a minimum or maximum at this line is one of the values that a mask left, in each row
    in which it left any.
    """
    masks: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor]] = {}
    """Of products, by their identity."""

    def kept_in(values: Any) -> torch.Tensor | None:
        known = masks.get(id(values))
        same = known is not None and isinstance(values, torch.Tensor) and known[0]() is values
        return kept_of(known[1], values) if known is not None and same else None

    def operation(function: Any, name: str, given: Arguments) -> Any:
        args, kwargs = given
        dim = dimension_of(args, kwargs) if name in EXTREMES and args else None
        kept = kept_in(args[0]) if dim is not None and b.is_at(patch.value) else None
        if dim is not None and kept is not None:
            b.acted(patch)
            hidden = ~kept & kept.any(dim, keepdim=True)
            beyond = args[0].masked_fill(hidden, float("inf" if EXTREMES[name] == "min" else "-inf"))
            return function(beyond, *args[1:], **kwargs)
        result = function(*args, **kwargs)
        mask = mask_of(args) if name in PRODUCTS else None
        if mask is not None:
            if len(masks) >= MOST_PRODUCTS:
                masks.clear()
            masks[id(result)] = weakref.ref(result), mask
        return result

    b.at_operations(operation)
