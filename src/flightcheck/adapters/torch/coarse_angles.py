"""Sines and cosines of numbers so large that their type has no digits left for an angle."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor
from flightcheck.recording.coarse_angles import CoarseAngles
from flightcheck.recording.records import Location

_ANGLES: Final = {"sin", "cos", "sin_", "cos_"}
_CONVERSIONS: Final = {"to", "type", "half", "bfloat16", "arange"}
OPERATIONS: Final = _ANGLES | _CONVERSIONS
_HALVES: Final = (torch.bfloat16, torch.float16)
_BITS: Final = {torch.bfloat16: 7, torch.float16: 10, torch.float32: 23, torch.float64: 52}
"""Of the fractions of the types."""
_MOST_LOOKS: Final = 64
_MOST_LINES: Final = 16
_MOST_CONVERSIONS: Final = 2000


class Angles:
    """Told of operations in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._seen: dict[Location, CoarseAngles] = {}
        self._looks: dict[Location, int] = {}
        self._halved: dict[torch.dtype, Location] = {}
        """The line that made large numbers half precision last, by their type."""
        self._conversions = 0

    def look(self, name: str, args: Any, result: Any) -> None:
        """One of `OPERATIONS` returned."""
        if name in _CONVERSIONS:
            self._convert(result)
        else:
            self._angles(args[0] if args else None)

    def _convert(self, made: Any) -> None:
        if not isinstance(made, torch.Tensor) or made.dtype not in _HALVES or not is_plain_tensor(made):
            return
        if hands_off() or not made.numel() or self._conversions >= _MOST_CONVERSIONS or not self.watch.reads(made):
            return
        self._conversions += 1
        # Beyond, not even whole numbers are exact.
        if float(made.detach().abs().max()) > 2.0 ** (_BITS[made.dtype] + 1) and (here := self.watch.lines.here()):
            self._halved[made.dtype] = here

    def _angles(self, given: Any) -> None:
        if not isinstance(given, torch.Tensor) or not is_plain_tensor(given) or given.dtype not in _BITS:
            return
        if hands_off() or not given.numel() or not self.watch.reads(given):
            return
        bits = _BITS[given.dtype]
        sizes = given.detach().abs()
        largest = float(sizes.max())
        if not math.isfinite(largest) or largest < 2.0**bits:  # below, neighbours lie at most 1 apart
            return
        here = self.watch.lines.here()
        if here is None or (here not in self._looks and len(self._looks) >= _MOST_LINES):
            return
        self._looks[here] = self._looks.get(here, 0) + 1
        if self._looks[here] > _MOST_LOOKS:
            return
        spacing = 2.0 ** (math.frexp(largest)[1] - 1 - bits)
        known = self._seen.get(here) or CoarseAngles(here, str(given.dtype).removeprefix("torch."), 0, 0, 0.0, 0.0)
        self._seen[here] = dataclasses.replace(
            known,
            elements=known.elements + given.numel(),
            coarse=known.coarse + int((sizes >= 2.0**bits).sum()),
            largest=max(known.largest, largest),
            spacing=max(known.spacing, spacing),
            halved=known.halved or self._halved.get(given.dtype),
        )

    def save(self) -> None:
        """Write the lines at which there were such angles."""
        for i, seen in enumerate(self._seen.values()):
            self.watch.writer.put(seen, i)
