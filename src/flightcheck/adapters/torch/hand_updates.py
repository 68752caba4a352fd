"""Parameters that a script updates itself, without an optimizer."""

from __future__ import annotations

import weakref
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.hand_updates import HandUpdate
from flightcheck.recording.provenance.hand_updates import step_size
from flightcheck.recording.records import Location

OPERATIONS: Final = {"sub_", "__isub__", "add_", "__iadd__", "copy_", "__set__"}
_MOST_LINES: Final = 8


class HandUpdates:
    """Looks at operations in place on leaves that have a gradient, in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._data: weakref.ref[torch.Tensor] | None = None
        """What ``w.data`` of such a leaf gave last."""
        self._rounds: dict[Location, set[int]] = {}

    def data_read(self, tensor: torch.Tensor, result: torch.Tensor) -> None:
        """``tensor.data`` was read."""
        if _is_trained(tensor):
            self._data = weakref.ref(result)

    def look(self, func: Any, name: str, args: Any) -> None:
        """One of `OPERATIONS`, outside of a model."""
        target = args[0] if args else None
        if name == "__set__" and getattr(getattr(func, "__self__", None), "__name__", "") != "data":
            return
        data = self._data() if self._data is not None else None
        if isinstance(target, torch.Tensor) and (_is_trained(target) or (data is not None and target is data)):
            line = self.watch.lines.here()
            if line is not None and (line in self._rounds or len(self._rounds) < _MOST_LINES):
                self._rounds.setdefault(line, set()).add(self.watch.step)

    def save(self) -> None:
        """Write the lines, the one that was seen most often first."""
        ordered = sorted(self._rounds.items(), key=lambda item: -len(item[1]))
        for i, (line, rounds) in enumerate(ordered):
            found = step_size(line.file, line.line)
            place = self.watch.lines.of(*found[0]) if found is not None else None
            rate = found[1] if found is not None else None
            self.watch.writer.put(HandUpdate(line, rate, place, len(rounds)), i)


def _is_trained(tensor: torch.Tensor) -> bool:
    return tensor.requires_grad and tensor.is_leaf and tensor.grad is not None
