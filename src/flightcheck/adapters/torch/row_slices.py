"""Batches that a script cuts out of a tensor itself, ``x[start : start + size]``: which rows they hold."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.row_slices import RowSlices

_MOST_STARTS: Final = 4096
_MOST_CUT: Final = 8
"""Slices whose line is known until a model is called with one."""


@dataclass
class _Sliced:
    examples: int
    """Rows of the tensor that is cut."""
    rows: int
    of: int = 0
    """Rows of the whole that it may be a part of."""
    starts: set[int] = field(default_factory=set)
    calls: int = 0
    since_new: int = 0
    whole: bool = True
    """All calls that were seen got slices of one tensor."""
    location: Location | None = None


class Slices:
    """Follows where the inputs of each model begin. Nothing is read but shapes, strides and offsets."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._of: dict[int, _Sliced] = {}
        self._cut = deque[tuple[weakref.ref[torch.Tensor], Location | None, int]](maxlen=_MOST_CUT)
        """Slices, their lines, and how many rows the tensor has that was cut: it may itself be a part of another."""

    def cut(self, args: Any, result: torch.Tensor) -> None:
        """In the learning pass: a tensor was indexed."""
        index = args[1] if len(args) > 1 else None
        if isinstance(index, slice) and result._is_view() and result.is_floating_point():
            self._cut.append((weakref.ref(result), self.watch.lines.here(), args[0].shape[0]))

    def fed(self, root: int, given: torch.Tensor) -> None:
        """A model was called in training with a tensor."""
        known = self._of.get(root)
        base = given._base if given._is_view() else None
        place = _place(base, given) if base is not None else None
        if base is None or place is None:
            if known is not None:
                known.whole = False
            elif root not in self._of and not self.watch.learning:
                self._of[root] = _Sliced(0, 0, whole=False)
            return
        if known is None:
            known = self._of[root] = _Sliced(base.shape[0], given.shape[0], of=base.shape[0])
        known.whole &= known.of == base.shape[0]
        known.rows = max(known.rows, given.shape[0])
        known.calls += 1
        known.since_new += 1
        if place not in known.starts and len(known.starts) < _MOST_STARTS:
            known.starts.add(place)
            known.since_new = 0
        for ref, line, rows in self._cut:
            if ref() is given:
                known.location, known.examples = line, rows

    def save(self) -> None:
        """Write the records."""
        for root, s in self._of.items():
            if s.whole and s.location is not None and len(s.starts) > 1:
                starts = sorted(s.starts)
                gap = min(b - a for a, b in itertools.pairwise(starts))
                record = RowSlices(
                    root, s.examples, s.rows, len(starts), starts[0], starts[-1], gap, s.calls, s.since_new, s.location
                )
                self.watch.writer.put(record, root)


def _place(base: torch.Tensor, given: torch.Tensor) -> int | None:
    """The row of a tensor at which a slice of it begins; None for another kind of view."""
    if base.dim() != given.dim() or base.dim() < 2 or base.shape[1:] != given.shape[1:]:
        return None
    if base.stride() != given.stride() or not base.stride(0) or base.shape[0] <= given.shape[0]:
        return None
    return (given.storage_offset() - base.storage_offset()) // base.stride(0)
