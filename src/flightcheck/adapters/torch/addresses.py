"""Lines by the memory of the tensor they were about: many tensors (``p``, ``p.data``, a view) are one memory."""

from __future__ import annotations

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from flightcheck.recording.records import Location


class Addresses:
    """The last line noted for a memory. Once it was freed, another tensor at its address has none."""

    def __init__(self) -> None:
        self._lines: dict[int, tuple[StorageWeakRef, Location]] = {}

    def note(self, tensor: torch.Tensor, line: Location) -> None:
        """A line was about the tensor."""
        if tensor.layout is torch.strided:
            memory = StorageWeakRef(tensor.untyped_storage())  # type: ignore[no-untyped-call]
            self._lines[tensor.data_ptr()] = (memory, line)

    def forget(self, tensor: torch.Tensor) -> None:
        """What was noted about the tensor does not hold any more."""
        if tensor.layout is torch.strided:
            self._lines.pop(tensor.data_ptr(), None)

    def get(self, tensor: torch.Tensor) -> Location | None:
        """The last line about the memory of the tensor, None if there is none."""
        known = self._lines.get(tensor.data_ptr()) if tensor.layout is torch.strided else None
        if known is None or known[0].expired():  # type: ignore[no-untyped-call]
            return None
        return known[1]
