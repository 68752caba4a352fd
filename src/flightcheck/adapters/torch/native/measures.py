"""Sums over gradients, weights and updates: one call of the kernel for all parameters of an optimizer.

What the kernel cannot read (other devices, sparse gradients, views with gaps) is computed with PyTorch; without the
kernel, everything is. Both ways give the same numbers.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.native.library import BFLOAT16, COLUMNS, FLOAT16, FLOAT32, FLOAT64, TABLE, Kernel

TYPES: Final = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16, torch.float16: FLOAT16, torch.float64: FLOAT64}
_READ: Final = (torch.nn.Parameter, torch.Tensor)
"""Subclasses may hold their numbers in another way."""
_NOTHING: Final = (0, 0, 0)
_MOST_COPIED: Final = 256 * 2**20
"""Bytes of the copies of weights that are kept from one step to the next, all together."""
_WHOLE: Final = 1_000_000
"""Elements up to which a weight beyond that is copied whole; of a larger one, a fixed sample."""
_SAMPLE: Final = 65_536
_FINE: Final = (1e-12, 1e17)
"""Norms that float32 finds well: all squares that matter lie in its range."""
SUM, SQUARES, LARGEST, ZEROS, NON_FINITE = range(5)
ABSENT: Final = -1.0
GRADIENT, WEIGHT, UPDATE = 0, 5, 10
"""Where the five numbers of each begin in a row."""

Rows = npt.NDArray[np.float64]


@dataclass
class Copy:
    """What a weight was when it was last looked at."""

    values: Any
    """Bytes in the order of its memory; for PyTorch, a tensor."""
    address: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def fits(self, weight: torch.Tensor) -> bool:
        """The weight has the same elements in the same order."""
        return weight.dtype is self.dtype and weight.shape == self.shape and weight.stride() == self.stride


class Measures:
    """Measures parameters, and remembers what their weights were."""

    def __init__(self, kernel: Kernel | None) -> None:
        self.kernel = kernel
        self._copies: dict[int, Copy] = {}
        self._copied = 0
        self._out = np.zeros((0, COLUMNS))
        self.one_pass = kernel is not None
        """The kernel did all of the last look: it was one call, and cheap."""

    def look(
        self, indices: Sequence[int], parameters: Sequence[torch.Tensor | None], *, gradients: bool, weights: bool,
        compared: Sequence[bool] = (), copy: bool = True,
    ) -> Rows:  # fmt: skip
        """One row for each parameter; sums of squares are `ABSENT` where there is no such tensor. The next call
        overwrites the rows.

        Args:
            indices: numbers under which copies of weights are kept.
            parameters: the parameters, None for one that is gone.
            gradients: measure the gradients.
            weights: measure the weights, and copy them.
            compared: of which weights to measure how far they are from the copy.
            copy: whether weights that have no copy yet get one.
        """
        count = len(indices)
        if len(self._out) < count:
            self._out = np.zeros((count, COLUMNS))
        out = self._out[:count]
        table: list[int] = []
        left: list[tuple[int, int, torch.Tensor]] = []
        absent: list[tuple[int, int]] = []
        compare = compared or [False] * count
        for k, parameter in enumerate(parameters):
            gradient = parameter.grad if parameter is not None and gradients else None
            table += self._place(k, GRADIENT, gradient, left, absent)
            weight = parameter if weights and parameter is not None and _has_norm(parameter) else None
            place = self._place(k, WEIGHT, weight, left, absent)
            known, there = self._copy_of(indices[k], weight, copy) if weight is not None and place[0] else (None, False)
            if weight is not None and place[0] and known is None and copy:
                left.append((k, WEIGHT, weight))  # too large to be copied whole: a sample of it is
                place = _NOTHING
            compares = there and compare[k]
            table += (*place, known.address if known is not None else 0, 1 if compares else 0)
            if not compares:
                absent.append((k, UPDATE))
        self._run(count, table, out)
        for k, start in absent:
            out[k, start : start + 5] = math.nan
            out[k, start + SQUARES] = ABSENT
        self.one_pass = not left
        if left:
            self._by_torch(indices, left, compare, out, copy)
        return out

    def forget(self) -> None:
        """Drop all copies."""
        self._copies.clear()
        self._copied = 0

    # -- the kernel's way ---------------------------------------------------------------------------------------

    def _place(
        self, k: int, start: int, tensor: torch.Tensor | None, left: list[tuple[int, int, torch.Tensor]],
        absent: list[tuple[int, int]],
    ) -> tuple[int, int, int]:  # fmt: skip
        """Address, elements and type of a tensor for the kernel; else it is noted in `left` or `absent`."""
        if tensor is None:
            absent.append((k, start))
            return _NOTHING
        if self.kernel is not None and readable(tensor):
            address = tensor.data_ptr()
            if address or not tensor.numel():
                return address, tensor.numel(), TYPES[tensor.dtype]
            absent.append((k, start))  # its memory is given back for the time being (sharded models)
            return _NOTHING
        left.append((k, start, tensor))
        return _NOTHING

    def _copy_of(self, index: int, weight: torch.Tensor, wanted: bool) -> tuple[Copy | None, bool]:
        """Room for a copy of a weight, and whether there is one in it."""
        known = self._copies.get(index)
        if known is not None and known.fits(weight):
            return (known, True) if known.address else (None, False)
        size = weight.numel() * weight.element_size()
        if known is not None:
            self._drop(index)
        if not wanted or self._copied + size > _MOST_COPIED:
            return None, False
        self._copied += size
        room = np.empty(size, dtype=np.uint8)
        known = Copy(room, room.ctypes.data, tuple(weight.shape), weight.stride(), weight.dtype)
        self._copies[index] = known
        return known, False

    def _drop(self, index: int) -> None:
        gone = self._copies.pop(index)
        if isinstance(gone.values, np.ndarray):
            self._copied -= gone.values.nbytes

    def _run(self, count: int, table: list[int], out: Rows) -> None:
        if self.kernel is not None and count:
            packed = array("q", table)
            assert len(packed) == TABLE * count
            self.kernel.step(count, packed.buffer_info()[0], out.ctypes.data)

    # -- PyTorch's way ------------------------------------------------------------------------------------------

    def _by_torch(
        self, indices: Sequence[int], left: list[tuple[int, int, torch.Tensor]], compare: Sequence[bool], out: Rows,
        copy: bool,
    ) -> None:  # fmt: skip
        """Of these only the sums of squares are measured; the other four stay unknown."""
        for (k, start, _), squares in zip(left, squares_of([t for _, _, t in left])):
            out[k, start : start + 5] = math.nan
            out[k, start + SQUARES] = squares
        moves = []
        for k, start, weight in left:
            if start == WEIGHT and (move := self._moved(indices[k], weight, compare[k], copy)) is not None:
                moves.append((k, *move))
        for (k, scale, _), squares in zip(moves, squares_of([m for _, _, m in moves])):
            out[k, UPDATE + SQUARES] = squares * scale

    def _moved(
        self, index: int, weight: torch.Tensor, compare: bool, copy: bool
    ) -> tuple[float, torch.Tensor] | None:  # fmt: skip
        """How a weight differs from its copy, on so large a share of it; it is copied again."""
        weight = weight.detach()
        known = self._copies.get(index)
        there = known is not None and known.fits(weight) and isinstance(known.values, torch.Tensor)
        values = sample_of(weight)
        scale = weight.numel() / values.numel()
        move = values - known.values if known is not None and there and compare else None
        if there or copy:
            if known is not None and not there:
                self._drop(index)
            self._copies[index] = Copy(values.clone(), 0, tuple(weight.shape), weight.stride(), weight.dtype)
        return (scale, move) if move is not None else None


def _has_norm(weight: torch.Tensor) -> bool:
    return weight.layout is torch.strided and weight.is_floating_point() and weight.numel() > 0


def readable(tensor: torch.Tensor) -> bool:
    """The kernel can read it: the numbers of a CPU tensor, one beside the other."""
    return (
        type(tensor) in _READ and tensor.is_cpu and tensor.dtype in TYPES and tensor.layout is torch.strided
        and (tensor.is_contiguous() or dense(tensor))
    )  # fmt: skip


def dense(tensor: torch.Tensor) -> bool:
    """Its elements fill one piece of memory, each once, in whatever order."""
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape)):
        if size == 1:
            continue
        if stride != expected:
            return False
        expected *= size
    return True


def sample_of(values: torch.Tensor) -> torch.Tensor:
    """All of a small tensor, else a fixed even sample (a stride prime to powers of two, against aliasing)."""
    if values.numel() <= _WHOLE or not values.is_contiguous():
        return values
    flat = values.view(-1)
    return flat[:: (flat.numel() // _SAMPLE) | 1]


@torch.no_grad()
def squares_of(tensors: Sequence[torch.Tensor]) -> list[float]:
    """Sums of squares, as the kernel computes them; of sparse gradients those of their values."""
    if not tensors:
        return []
    first = tensors[0].device
    if all(t.layout is torch.strided and t.is_floating_point() and t.device == first for t in tensors):
        found = torch._foreach_norm([t.detach() for t in tensors], 2, _summed_in(tensors))
        norms = [float(v) for v in found] if first.type == "cpu" else torch.stack(found).tolist()  # one transfer
    else:
        norms = [float(_values(t).norm()) for t in tensors]
    for k, (tensor, norm) in enumerate(zip(tensors, norms)):
        if (norm < _FINE[0] or norm > _FINE[1]) and tensor.numel() and tensor.dtype is not torch.float64:
            # The squares of its elements leave the range of float32, or some are not finite.
            norms[k] = float(_values(tensor).double().norm()) if not tensor.is_complex() else norm
    return [norm * norm for norm in norms]


def _summed_in(tensors: Sequence[torch.Tensor]) -> torch.dtype | None:
    """Half precision is too coarse for a sum, and a single norm of float64 does not fit into a stack of float32."""
    types = {t.dtype for t in tensors}
    return None if types == {torch.float32} else torch.float64 if torch.float64 in types else torch.float32


def _values(tensor: torch.Tensor) -> torch.Tensor:
    x = tensor.detach()
    if x.layout is torch.sparse_coo:
        x = x._values()
    return x if x.is_complex() else x.float() if x.dtype is not torch.float64 else x
