"""Differences of numbers so large that float32 rounded them by as much as they differ: unix times, for example."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.cancellations import Cancellation
from flightcheck.recording.provenance.conversions import converted_before
from flightcheck.recording.records import Location

WITHIN: Final = {"diff", "sub", "__sub__", "__rsub__", "rsub", "subtract"}
_COARSE: Final = 0.1
"""Spacing of the numbers, in standard deviations of their differences, from which it is told: 4 % of noise."""
_BITS: Final = 23
_OFFSET: Final = 0.5
"""The smallest number, as a share of the largest: dates and coordinates lie far from zero, all on one side."""
_MOST_LOOKS: Final = 400
_MOST_LINES: Final = 16
_SAMPLE: Final = 4096


@dataclass
class _Seen:
    looks: int = 0
    elements: int = 0
    coarse: int = 0
    odd: float = 0.0
    """Sum, over the elements, of the share of odd multiples of the spacing among the numbers subtracted."""
    spacing: float = 0.0
    spread: float = 0.0
    largest: float = 0.0


class Cancellations:
    """Looks at differences that a script computes of its data, outside of models and without gradients."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._seen: dict[Location | None, _Seen] = {}

    def look(self, args: Any, result: Any) -> None:
        """One operation of `WITHIN`."""
        if self.watch.step or hands_off() or not (args and _is_single(args[0]) and _is_single(result)):
            return
        given, other = args[0], args[1] if len(args) > 1 else None
        if isinstance(other, torch.Tensor) and not (_is_single(other) and _address(other) == _address(given)):
            return  # how far two results agree is asked so; what is told are differences within one
        here = self.watch.lines.here()
        seen = self._seen.get(here)
        if seen is None:
            if len(self._seen) >= _MOST_LINES:
                return
            seen = self._seen[here] = _Seen()
        if seen.looks < _MOST_LOOKS:
            seen.looks += 1
            _note(seen, given.detach(), result.detach())

    def save(self) -> None:
        """Write the lines at which nearly all differences are as coarse as that."""
        for i, (here, seen) in enumerate(self._seen.items()):
            if here is None or not seen.coarse:
                continue
            made = converted_before(here.file, here.line)
            line = self.watch.lines.of(*made) if made is not None else here
            self.watch.writer.put(
                Cancellation(
                    line, here, seen.elements, seen.coarse, seen.odd / seen.coarse, seen.spacing, seen.spread,
                    seen.largest, made is not None,
                ),
                i,
            )  # fmt: skip


def _is_single(value: Any) -> bool:
    """Numbers of single precision that can be looked at."""
    return (
        isinstance(value, torch.Tensor)
        and value.dtype is torch.float32
        and not value.requires_grad
        and value.is_cpu
        and is_plain_tensor(value)
    )


def _address(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _note(seen: _Seen, given: torch.Tensor, result: torch.Tensor) -> None:
    if result.numel() < 2:
        return
    numbers, differences = (t.flatten()[: 8 * _SAMPLE].double() for t in (given, result))
    elements, spread = len(differences), float(differences.std(correction=0))
    if spread == 0:
        return  # equal numbers, or ones that are by now
    seen.elements += elements
    largest = float(numbers.abs().max())
    if not (math.isfinite(largest) and math.isfinite(spread)) or float(numbers.abs().min()) < _OFFSET * largest:
        return
    spacing = 2.0 ** (math.frexp(largest)[1] - 1 - _BITS)
    if not spacing > _COARSE * spread:
        return
    near = numbers.abs() >= 2.0 ** (math.frexp(largest)[1] - 1)
    multiples = numbers[near] / spacing
    seen.coarse += elements
    seen.odd += elements * float((multiples % 2 != 0).double().mean())
    if spacing >= seen.spacing:
        seen.spacing, seen.spread, seen.largest = spacing, max(seen.spread, spread), largest
