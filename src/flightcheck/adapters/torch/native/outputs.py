"""Statistics of the output of a module: one call of the kernel, or the same numbers with PyTorch."""

from __future__ import annotations

import math
from array import array
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.arrivals import lies_on_card
from flightcheck.adapters.torch.native.library import Kernel
from flightcheck.adapters.torch.native.measures import SQUARES, TYPES, readable

_ROWS: Final = 64
_UNITS: Final = 4096
"""Of how many examples and elements the spread is taken."""


@dataclass(frozen=True)
class Seen:
    """What an output was. Of one on a graphics card these are tensors there: whoever reads one waits for it."""

    rms: float | torch.Tensor
    spread: float | torch.Tensor | None
    """Mean over its elements of the standard deviation over examples; None for a single example."""
    fired: npt.NDArray[np.bool_] | torch.Tensor | None
    """Per unit, whether any of its numbers is positive; None if that was not asked."""


class Outputs:
    """Looks at outputs."""

    def __init__(self, kernel: Kernel | None) -> None:
        self.kernel = kernel
        self._out = array("d", [0.0] * 6)
        self._room = np.zeros(0, dtype=np.float32)

    def look(self, x: torch.Tensor, units: int = -1) -> Seen:
        """Look at an output; `units` is the dimension of its units, 1 or the last one (-1: firing is not asked)."""
        if self.kernel is None or not readable(x) or x.dtype is torch.float64 or not x.is_contiguous():
            return _by_torch(x, units)
        rows = x.shape[0] if x.dim() > 1 else 1
        width = x.numel() // rows
        few = min(rows, _ROWS) if rows > 1 else 0
        stride = width // _UNITS + 1 if width > _UNITS else 1
        count = x.shape[units] if units > 0 else 0
        inner = x.numel() // (rows * count) if count and units < x.dim() - 1 else 0
        columns = -(-width // stride)
        needed = 3 * columns + count + 8
        if len(self._room) < needed:
            self._room = np.zeros(needed, dtype=np.float32)
        highest = self._room[3 * columns : needed]
        highest[:] = 0.0
        self.kernel.output(
            TYPES[x.dtype], x.data_ptr(), rows, width, few, stride, count, inner,
            highest.ctypes.data, self._room.ctypes.data, self._out.buffer_info()[0],
        )  # fmt: skip
        fired = highest[:count] > 0 if count else None
        return Seen(math.sqrt(self._out[SQUARES] / x.numel()), self._out[5] if few else None, fired)

    def rms(self, x: torch.Tensor) -> float | torch.Tensor:
        """Root mean square of a gradient; of one on a graphics card a tensor there."""
        if not x.numel() or x.layout is not torch.strided:
            return 0.0
        if self.kernel is None or not readable(x):
            return _rms(x) if lies_on_card(x) else float(_rms(x))
        room = self._room if len(self._room) else np.zeros(1, dtype=np.float32)
        at = room.ctypes.data
        self.kernel.output(TYPES[x.dtype], x.data_ptr(), 1, x.numel(), 0, 1, 0, 0, at, at, self._out.buffer_info()[0])
        return math.sqrt(self._out[SQUARES] / x.numel())


def _by_torch(x: torch.Tensor, units: int) -> Seen:
    spread = None
    if x.dim() > 1 and x.shape[0] > 1:
        rows = x[:_ROWS].flatten(1)
        if rows.shape[1] > _UNITS:
            rows = rows[:, :: rows.shape[1] // _UNITS + 1]
        spread = rows.float().std(0).mean()
    fired = None
    if units > 0:
        by_unit = x.transpose(0, units).reshape(x.shape[units], -1)
        fired = (by_unit > 0).any(1)
    if lies_on_card(x):
        return Seen(_rms(x), spread, fired)
    return Seen(
        float(_rms(x)), spread if spread is None else float(spread), fired if fired is None else fired.cpu().numpy()
    )


def _rms(x: torch.Tensor) -> torch.Tensor:
    values = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    norm: torch.Tensor = torch.linalg.vector_norm(values)
    return norm / math.sqrt(max(1, values.numel()))
