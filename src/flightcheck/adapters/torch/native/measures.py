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
import torch

from flightcheck.adapters.torch.native.library import BFLOAT16, COLUMNS, FLOAT16, FLOAT32, FLOAT64, TALLIES, Kernel
from flightcheck.adapters.torch.pieces import pieces
from flightcheck.adapters.torch.shards import at_hand

TYPES: Final = {torch.float32: FLOAT32, torch.bfloat16: BFLOAT16, torch.float16: FLOAT16, torch.float64: FLOAT64}
_READ: Final = (torch.nn.Parameter, torch.Tensor)
"""Subclasses may hold their numbers in another way."""
_NOTHING: Final = (0, 0, 0)
_NO_WEIGHT: Final = (0, 0, 0, 0, 0)
_SOMEWHERE: Final = 1
"""An address for tensors without elements: nothing is read there."""
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
COLUMNS_OF_TABLE: Final = 8
"""Of gradient and weight: address, elements, type; of the copy: address, and whether to compare with it."""


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


class Prepared:
    """A table for the kernel that holds for as long as the parameters and the layout of their gradients stay what they
    are: from one look to the next, only the addresses of the gradients differ.
    """

    def __init__(
        self, table: list[int], parameters: Sequence[torch.Tensor], gradients: Sequence[torch.Tensor], copies: int
    ) -> None:
        self.table = array("q", table)
        self.place = self.table.buffer_info()[0]
        self._compared = bool(table[COLUMNS_OF_TABLE - 1])
        self._parameters = [id(p) for p in parameters]
        self._addresses = [(p.data_ptr(), p.dtype, p.numel()) for p in parameters]
        self._layouts = [_layout(g) for g in gradients]
        self._copies = copies

    def fits(self, parameters: Sequence[torch.Tensor | None], compared: bool, copies: int) -> bool:
        """It holds for these now, and for so many copies given up; it has the addresses of their gradients."""
        if (compared, copies) != (self._compared, self._copies) or [id(p) for p in parameters] != self._parameters:
            return False
        there = [p for p in parameters if p is not None]
        gradients = [g for p in there if type(g := p.grad) is torch.Tensor and g.layout is torch.strided]
        if len(gradients) != len(there) or [_layout(g) for g in gradients] != self._layouts:
            return False
        if [(p.data_ptr(), p.dtype, p.numel()) for p in there] != self._addresses:
            return False
        self.table[::COLUMNS_OF_TABLE] = array("q", [g.data_ptr() for g in gradients])
        return True


def _all_there(table: Sequence[int], compared: bool) -> bool:
    """Each parameter has a gradient, a copy, and is compared with it or not as all are: so will the next table."""
    columns = [table[c::COLUMNS_OF_TABLE] for c in (0, 6, 7)]
    return all(columns[0]) and all(columns[1]) and all(bool(c) is compared for c in columns[2])


def _layout(tensor: torch.Tensor) -> tuple[torch.dtype, bool, tuple[int, ...]]:
    return tensor.dtype, tensor.is_cpu, tensor.stride()


class Look:
    """Room for what is found, for so many parameters. One look after the other is written into it."""

    def __init__(self, count: int) -> None:
        self.prepared: Prepared | None = None
        self.sums = np.zeros((count, COLUMNS))
        """The five sums of gradient, weight and update of each parameter; nothing where there is no such tensor."""
        self.norms = np.zeros((3, count), dtype=np.float32)
        """Norms of gradients, weights and updates; `ABSENT` where there is no such tensor."""
        self.tallies = np.zeros((len(TALLIES), count), dtype=np.int64)
        """Counted over all looks."""
        self.totals = array("d", [0.0, 0.0])
        """How many gradients are not zero, and the sum of their squares."""
        self.places = (
            self.sums.ctypes.data, self.norms.ctypes.data, self.tallies.ctypes.data, self.totals.buffer_info()[0],
        )  # fmt: skip


class Measures:
    """Measures parameters, and remembers what their weights were."""

    def __init__(self, kernel: Kernel | None) -> None:
        self.kernel = kernel
        self._copies: dict[int, Copy] = {}
        self.copied = 0
        """Bytes of the copies that the kernel compares with."""
        self.given_up = 0
        """Copies whose memory is no longer ours: tables that name it hold no more."""
        self.one_pass = kernel is not None
        """The kernel did all of the last look: it was one call, and cheap."""

    def look(
        self, look: Look, indices: Sequence[int], parameters: Sequence[torch.Tensor | None], *, gradients: bool,
        weights: bool, compared: Sequence[bool] = (), copy: bool = True,
    ) -> Look:  # fmt: skip
        """Measure.

        Args:
            look: where to put what is found.
            indices: numbers under which copies of weights are kept.
            parameters: the parameters, None for one that is gone.
            gradients: measure the gradients.
            weights: measure the weights, and copy them.
            compared: of which weights to measure how far they are from the copy.
            copy: whether weights that have no copy yet get one.
        """
        whole = gradients and weights and copy and all(compared)
        if self.kernel is not None and whole and look.prepared is not None:
            if look.prepared.fits(parameters, bool(compared), self.given_up):
                self.kernel.step(len(indices), look.prepared.place, *look.places)
                self.one_pass = True
                return look
            look.prepared = None
        table: list[int] = []
        left: list[tuple[int, int, torch.Tensor]] = []
        compare = compared or [False] * len(indices)
        for k, parameter in enumerate(parameters):
            gradient = parameter.grad if parameter is not None and gradients else None
            if type(parameter) not in _READ or self.kernel is None:  # the kernel minds missing memory itself
                parameter, gradient = at_hand(parameter), at_hand(gradient)  # noqa: PLW2901
            table += self._place(k, GRADIENT, gradient, left)
            weight = parameter if weights and parameter is not None and _has_norm(parameter) else None
            if weight is None:
                table += _NO_WEIGHT
                continue
            place = self._place(k, WEIGHT, weight, left)
            known, there = self._copy_of(indices[k], weight, copy) if place[0] else (None, False)
            if place[0] and known is None and copy:
                left.append((k, WEIGHT, weight))  # too large to be copied whole: a sample of it is
                place = _NOTHING
            table += (*place, known.address if known is not None else 0, 1 if there and compare[k] else 0)
        if self.kernel is not None and indices:
            packed = array("q", table)
            self.kernel.step(len(indices), packed.buffer_info()[0], *look.places)
            if whole and not left and _all_there(table, bool(compared)):
                held = [(p, p.grad) for p in parameters if type(p) in _READ and p is not None and p.grad is not None]
                if len(held) == len(parameters):
                    look.prepared = Prepared(table, [p for p, _ in held], [g for _, g in held], self.given_up)
        else:
            look.norms[:] = ABSENT
            look.totals[0] = look.totals[1] = 0.0
        self.one_pass = not left
        if left:
            self._by_torch(look, indices, left, compare, copy)
        return look

    # -- the kernel's way ---------------------------------------------------------------------------------------

    def _place(
        self, k: int, start: int, tensor: torch.Tensor | None, left: list[tuple[int, int, torch.Tensor]]
    ) -> tuple[int, int, int]:
        """Address, elements and type of a tensor for the kernel; what it cannot read is noted in `left`."""
        if tensor is None:
            return _NOTHING
        if self.kernel is not None and readable(tensor):
            size = tensor.numel()
            # Without an address, the memory is given back for the time being (sharded models).
            return (tensor.data_ptr() if size else _SOMEWHERE), size, TYPES[tensor.dtype]
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
        if not wanted or self.copied + size > _MOST_COPIED:
            return None, False
        self.copied += size
        room = np.empty(size, dtype=np.uint8)
        known = Copy(room, room.ctypes.data, tuple(weight.shape), weight.stride(), weight.dtype)
        self._copies[index] = known
        return known, False

    def _drop(self, index: int) -> None:
        gone = self._copies.pop(index)
        self.given_up += 1
        if isinstance(gone.values, np.ndarray):
            self.copied -= gone.values.nbytes

    # -- PyTorch's way ------------------------------------------------------------------------------------------

    def _by_torch(
        self, look: Look, indices: Sequence[int], left: list[tuple[int, int, torch.Tensor]], compare: Sequence[bool],
        copy: bool,
    ) -> None:  # fmt: skip
        """Of these only the norms are found, and what is counted by them."""
        for (k, start, _), squares in zip(left, squares_of([t for _, _, t in left])):
            look.norms[start // 5, k] = math.sqrt(squares)
            if start == GRADIENT:
                look.tallies[:2, k] += (1, squares != 0.0)
                look.totals[0] += squares != 0.0
                look.totals[1] += squares
        moves = []
        for k, start, weight in left:
            if start == WEIGHT and (move := self._moved(indices[k], weight, compare[k], copy)) is not None:
                moves.append((k, *move))
        for (k, scale, _), squares in zip(moves, squares_of([m for _, _, m in moves])):
            look.norms[2, k] = math.sqrt(squares * scale)
            look.tallies[2:, k] += (1, squares != 0.0)

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
            values = _values(tensor)
            norms[k] = (
                math.hypot(*(float(p.double().norm()) for p in pieces(values))) if not values.is_complex() else norm
            )
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
