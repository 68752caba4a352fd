"""Sines and cosines of half-precision numbers so large that no digits are left for an angle."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, hands_off, is_plain_tensor, is_unreadable
from flightcheck.recording.coarse_angles import CoarseAngles
from flightcheck.recording.records import Location

_ANGLES: Final = {"sin", "cos"}
_CONVERSIONS: Final = {"to", "type", "half", "bfloat16", "arange"}
OPERATIONS: Final = _ANGLES | _CONVERSIONS
_BITS: Final = {torch.bfloat16: 7, torch.float16: 10}
"""Of the fractions of the types. Numbers of single precision as large as that are hashed or padded, as a rule."""
_MOST_LOOKS: Final = 64
_MOST_LINES: Final = 16
_MOST_CONVERSIONS: Final = 2000


class Angles:
    """Told of operations in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._seen: dict[Location, CoarseAngles] = {}
        self._looks: dict[Location, int] = {}
        self._halved: dict[torch.dtype, set[Location]] = {}
        """The lines that made large numbers half precision, by their type."""
        self._conversions = 0

    def look(self, name: str, args: Any, result: Any) -> None:
        """One of `OPERATIONS` returned."""
        if name in _CONVERSIONS:
            self._convert(result)
        elif args:
            self._angles(args[0])

    def _largest(self, numbers: Any) -> float:
        """Of numbers of half precision; 0 for others, and for those that cannot be looked at."""
        if not isinstance(numbers, torch.Tensor) or not is_plain_tensor(numbers) or numbers.dtype not in _BITS:
            return 0.0
        if hands_off() or is_unreadable(numbers) or not numbers.numel() or not self.watch.reads(numbers):
            return 0.0
        try:
            largest = float(numbers.detach().abs().max())
        except Exception:  # a tensor without numbers (FakeTensor)
            return 0.0
        return largest if math.isfinite(largest) else 0.0  # a mask for attention is no number

    def _convert(self, made: Any) -> None:
        if self._conversions >= _MOST_CONVERSIONS or not isinstance(made, torch.Tensor) or made.dtype not in _BITS:
            return
        self._conversions += 1
        # Beyond, not even whole numbers are exact.
        if self._largest(made) > 2.0 ** (_BITS[made.dtype] + 1) and (here := self.watch.lines.here()) is not None:
            self._halved.setdefault(made.dtype, set()).add(here)

    def _angles(self, given: Any) -> None:
        largest = self._largest(given)
        if not largest:
            return
        here = self.watch.lines.here()
        if here is None or (here not in self._looks and len(self._looks) >= _MOST_LINES):
            return
        self._looks[here] = self._looks.get(here, 0) + 1
        if self._looks[here] > _MOST_LOOKS:
            return
        bits = _BITS[given.dtype]
        lines = self._halved.get(given.dtype, set())
        known = self._seen.get(here) or CoarseAngles(here, str(given.dtype).removeprefix("torch."), 0, 0, 0.0, 0.0)
        self._seen[here] = dataclasses.replace(
            known,
            elements=known.elements + given.numel(),
            coarse=known.coarse + int((given.detach().abs() >= 2.0**bits).sum()),
            largest=max(known.largest, largest),
            spacing=max(known.spacing, 2.0 ** (math.frexp(largest)[1] - 1 - bits)),
            halved=next(iter(lines)) if len(lines) == 1 else None,  # of several, it may be any
        )

    def save(self) -> None:
        """Write the lines at which there were such angles."""
        for i, seen in enumerate(s for s in self._seen.values() if s.coarse):
            self.watch.writer.put(seen, i)
