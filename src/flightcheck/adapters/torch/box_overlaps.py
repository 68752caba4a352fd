"""Overlaps of boxes that an evaluation computes from two corners: are the boxes given as two corners?

``max`` of the first two of four columns and ``min`` of the last two are the corners of an overlap. In such boxes the
right edge lies right of the left one. Where centre and size are given, it need not: then they are no corners.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections import deque
from typing import Any, Final

import torch

from flightcheck.adapters.torch.batches import tensors_in
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.box_overlaps import BoxOverlap
from flightcheck.recording.records import Location

_LOWER: Final = {"max", "maximum"}
_UPPER: Final = {"min", "minimum"}
_COLUMNS: Final = 4
_MOST_MADE: Final = 64
"""Tensors computed from outputs of a model that are known again."""
_MOST_LINES: Final = 16
_MOST_BOXES: Final = 65_536


class BoxOverlaps:
    """Told of what models return and of the operations of the script itself, outside of all models."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self.made: deque[weakref.ref[torch.Tensor]] = deque(maxlen=_MOST_MADE)
        """What models returned without gradients last, and what was computed from it."""
        self._lower: list[tuple[weakref.ref[torch.Tensor], int]] = []
        """Boxes whose lower corners were compared last, and the column."""
        self._found: dict[Location | None, BoxOverlap] = {}

    def returned(self, result: Any) -> None:
        """A model returned this."""
        self.made.clear()
        if not torch.is_grad_enabled():
            held = result if isinstance(result, dict) else {}
            several = tuple(result) if isinstance(result, (tuple, list)) else (result,)
            self.made.extend(weakref.ref(t) for _, t in tensors_in(several, held))

    def look(self, name: str, args: Any, result: Any) -> None:
        """An operation returned `result`."""
        if not args or (torch.is_grad_enabled() and not self.made):
            return  # of the training; what is made of an output without gradients may leave its block
        if name in _LOWER | _UPPER and len(args) > 1 and isinstance(args[1], torch.Tensor):
            boxes = [_box_and_column(a) for a in args[:2]]
            if all(b is not None for b in boxes):
                self._corners(name, [b for b in boxes if b is not None])
        if self.made and any(self._is_made(a) for a in _tensors(args)):
            self.made.extend(weakref.ref(t) for t in _tensors((result,)))

    def _corners(self, name: str, boxes: list[tuple[torch.Tensor, int]]) -> None:
        columns = {c for _, c in boxes}
        if name in _LOWER and columns in ({0}, {1}):
            self._lower = [(weakref.ref(b), c) for b, c in boxes]
        elif name in _UPPER and columns in ({2}, {3}) and len(self._lower) == len(boxes):
            same = (ref() is b and c + 2 == d for (ref, c), (b, d) in zip(self._lower, boxes, strict=True))
            if all(same):
                self._overlap([b for b, _ in boxes])

    def _overlap(self, boxes: list[torch.Tensor]) -> None:
        line = self.watch.lines.here()
        known = self._found.get(line)
        if known is None:
            if len(self._found) >= _MOST_LINES:
                return
            known = BoxOverlap(line, self.watch.step, 0)
        data = [b for b in boxes if not self._is_made(b)]
        if torch.is_grad_enabled() and len(data) == len(boxes):
            return
        turned, rows = known.turned, known.rows
        for b in data:
            flat = b.detach().reshape(-1, _COLUMNS)[:_MOST_BOXES]
            rows += len(flat)
            turned += int(((flat[:, 2] < flat[:, 0]) | (flat[:, 3] < flat[:, 1])).sum())
        made = known.made or len(data) < len(boxes)
        self._found[line] = dataclasses.replace(known, calls=known.calls + 1, rows=rows, turned=turned, made=made)

    def _is_made(self, tensor: torch.Tensor) -> bool:
        return any(ref() is tensor for ref in self.made)

    def save(self) -> None:
        """Write what was seen."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


def _box_and_column(part: Any) -> tuple[torch.Tensor, int] | None:
    """The boxes of which this is one column, or two beside each other, and which (the first of two)."""
    if not isinstance(part, torch.Tensor) or not is_plain_tensor(part) or not part.is_floating_point():
        return None
    boxes = part._base
    if boxes is None or boxes.dim() < 2 or boxes.shape[-1] != _COLUMNS or not boxes.is_contiguous() or not part.numel():
        return None
    strides = [s for s, n in zip(part.stride(), part.shape, strict=True) if n > 1]
    pair = part.dim() > 0 and part.shape[-1] == 2 and part.stride(-1) == 1
    if any(s % _COLUMNS for s in (strides[:-1] if pair else strides)):
        return None
    column = int(part.storage_offset() - boxes.storage_offset()) % _COLUMNS
    return (boxes, column) if not pair or column in (0, 2) else None


def _tensors(values: Any) -> list[torch.Tensor]:
    found: list[torch.Tensor] = []
    for value in values:
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [v for v in value if isinstance(v, torch.Tensor)]
    return found
