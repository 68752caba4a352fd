"""Minima and maxima over values of which a mask made zeros: the zeros take part in them."""

from __future__ import annotations

import dataclasses
import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.masked_extremes import MaskedExtreme
from flightcheck.recording.records import Location

PRODUCTS: Final = {"mul", "__mul__", "__rmul__", "multiply"}
EXTREMES: Final = {
    "min": "min", "amin": "min", "argmin": "min", "max": "max", "amax": "max", "argmax": "max",
}  # fmt: skip
OPERATIONS: Final = PRODUCTS | set(EXTREMES)
_MOST_NUMBERS: Final = 1 << 20
MOST_PRODUCTS: Final = 32
_MOST_LINES: Final = 16
_MOST_CALLS: Final = 32


class MaskedExtremes:
    """Told of operations with gradients in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._products: dict[int, tuple[weakref.ref[torch.Tensor], torch.Tensor, Location | None]] = {}
        """Results of this round, by identity: themselves, their mask, the line."""
        self._found: dict[tuple[str, Location], MaskedExtreme] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One of `OPERATIONS` returned."""
        if name in PRODUCTS:
            mask = mask_of(args)
            if mask is not None and len(self._products) < MOST_PRODUCTS and isinstance(result, torch.Tensor):
                self._products[id(result)] = (weakref.ref(result), mask, self.watch.lines.here())
            return
        dim = dimension_of(args, kwargs)
        values = args[0] if args and isinstance(args[0], torch.Tensor) else None
        known = self._products.get(id(values))
        if dim is None or values is None or known is None or known[0]() is not values or not self.watch.reads(values):
            return
        line, operation = self.watch.lines.here(), EXTREMES[name]
        before = self._found.get((operation, line)) if line is not None else None
        if line is None or (before is None and len(self._found) >= _MOST_LINES):
            return
        before = before or MaskedExtreme(operation, line, known[2], self.watch.step)
        kept = kept_of(known[1], values)
        if before.calls >= _MOST_CALLS or kept is None:
            return
        rows, lost = _counted(values.detach(), kept, operation, dim)
        self._found[operation, line] = dataclasses.replace(
            before, calls=before.calls + 1, rows=before.rows + rows, lost=before.lost + lost
        )

    def end_round(self) -> None:
        """Forget the products of this round."""
        self._products.clear()

    def save(self) -> None:
        """Write the lines at which there were rows of both kinds."""
        for i, found in enumerate(f for f in self._found.values() if f.rows):
            self.watch.writer.put(found, i)


def mask_of(args: Any) -> torch.Tensor | None:
    """The factor without a gradient that may be a mask, of a product with one that has a gradient."""
    if len(args) < 2 or not all(isinstance(a, torch.Tensor) and is_plain_tensor(a) for a in args[:2]):
        return None
    mask, values = sorted(args[:2], key=lambda a: a.requires_grad)
    usual = not mask.requires_grad and values.requires_grad and mask.numel() > 1
    return mask if usual and values.numel() <= _MOST_NUMBERS else None


def kept_of(mask: torch.Tensor, values: torch.Tensor) -> torch.Tensor | None:
    """Where the mask is one, in the shape of the values; None for a factor with other numbers than 0 and 1."""
    one, zero = mask == 1, mask == 0
    if not bool((one | zero).all()) or not bool(zero.any()):
        return None
    return one.expand_as(values)


def dimension_of(args: Any, kwargs: Any) -> int | None:
    """The one over which an extreme is taken; None over all of them, or for the larger of two tensors."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    if isinstance(dim, (tuple, list)) and len(dim) == 1:
        dim = dim[0]
    return dim if type(dim) is int else None


def _counted(values: torch.Tensor, kept: torch.Tensor, operation: str, dim: int) -> tuple[int, int]:
    """Rows with values of both kinds, and those of them whose extreme is a zero of the mask."""
    least = operation == "min"
    outside = torch.where(kept, values, torch.full_like(values, float("inf" if least else "-inf")))
    real = outside.amin(dim) if least else outside.amax(dim)
    both = kept.any(dim) & ~kept.all(dim)
    lost = both & ((real > 0) if least else (real < 0))
    return int(both.sum()), int(lost.sum())
