"""Sums over gradients, weights and updates that lie on a graphics card: launched, and read when they arrive.

One launch for all parameters of an optimizer where Triton is installed, else PyTorch's own functions for many tensors
(``torch._foreach_norm``). Both give the squares that `measures` finds on the CPU, and the first the other numbers too.
"""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.native.measures import (
    ABSENT,
    GRADIENT,
    SQUARES,
    UPDATE,
    WEIGHT,
    dense,
    sample_of,
)  # fmt: skip
from flightcheck.adapters.torch.shards import at_hand

ROOM: Final = 16
"""Numbers in a row of the kernel's results: fifteen, rounded up to a power of two."""
_TYPES: Final = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}
_OWN: Final = (torch.Tensor, torch.nn.Parameter)
_WHOLE: Final = 1_000_000
"""Elements up to which a weight is always copied whole to see how far it moves."""
_MOST_COPIED: Final = 2**30
"""Bytes of the copies that are kept on a device, all together; of what is left out, a sample is."""
_SHARE_OF_FREE: Final = 10
"""They may take a tenth of what is free when the first is made: the training's own peak lies behind it by then."""


@dataclass
class Launched:
    """What is on its way, and where it belongs when it has arrived."""

    count: int
    """Parameters."""
    packed: torch.Tensor
    """float64, one dimension: rows of the kernel, then single squares."""
    width: int
    """Numbers in a row of the kernel."""
    rows: list[tuple[int, int, int, float]] = field(default_factory=list)
    """Row of the kernel, where in it the squares are, row and factor of the result: 3 × its row + its column."""
    single: list[tuple[int, int, float]] = field(default_factory=list)
    """Row, parameter and factor of the single squares, in their order."""
    kernel_rows: int = 0

    def squares(self, arrived: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Sums of squares of gradients, weights and updates, (3, parameters); `ABSENT` where there is none."""
        found = np.full((3, self.count), ABSENT)
        table = arrived[: self.kernel_rows * self.width].reshape(self.kernel_rows, self.width)
        for row, start, place, factor in self.rows:
            found[start // 5, place] = table[row, start + SQUARES] * factor
        for value, (kind, place, factor) in zip(arrived[self.kernel_rows * self.width :], self.single):
            found[kind, place] = value * factor
        return found


class Copies:
    """What the weights on a device were, for all optimizers: several may hold the same, one after another."""

    def __init__(self) -> None:
        self._of: dict[int, torch.Tensor] = {}
        self.bytes = 0
        self.room: int | None = None
        """Bytes that they may take; known when the first is made."""

    def drop(self, indices: Iterable[int]) -> None:
        """Forget the copies of weights that are gone."""
        for index in indices:
            gone = self._of.pop(index, None)
            if gone is not None:
                self.bytes -= gone.numel() * gone.element_size()

    def copy_of(self, index: int, weight: torch.Tensor, wanted: bool) -> tuple[torch.Tensor | None, bool, float]:
        """The copy of a weight, whether it holds what the weight was, and which share of the weight it stands for."""
        known = self._of.get(index)
        sampled = known is not None and known.numel() < weight.numel()
        like = sample_of(weight) if sampled else weight
        if known is not None and known.shape == like.shape and known.dtype is like.dtype and (
            sampled or known.stride() == like.stride()
        ):  # fmt: skip
            return known, True, weight.numel() / known.numel()
        if known is not None:
            self.bytes -= known.numel() * known.element_size()
            del self._of[index]
        if not wanted:
            return None, False, 1.0
        if self.room is None:
            free = torch.cuda.mem_get_info(weight.device)[0] if weight.is_cuda else _MOST_COPIED * _SHARE_OF_FREE
            self.room = min(_MOST_COPIED, free // _SHARE_OF_FREE)
        whole = self.bytes + weight.numel() * weight.element_size() <= self.room
        like = weight if whole or weight.numel() <= _WHOLE else sample_of(weight)
        made = (
            torch.empty_like(like) if like is weight else torch.empty(like.shape, dtype=like.dtype, device=like.device)
        )
        self._of[index] = made
        self.bytes += made.numel() * made.element_size()
        return made, False, weight.numel() / made.numel()


class OnDevice:
    """Measures the parameters of one optimizer."""

    def __init__(self, triton: bool | None = None, copies: Copies | None = None) -> None:
        self.triton = triton_works() if triton is None else triton
        self.copies = copies or Copies()
        self._table: tuple[npt.NDArray[np.int64], torch.Tensor] | None = None
        self._layout: tuple[list[int], tuple[torch.Tensor, ...]] | None = None
        self._again: _Again | None = None

    @torch.no_grad()
    def look(
        self, indices: Sequence[int], parameters: Sequence[torch.Tensor | None], *, gradients: bool, weights: bool,
        compared: Sequence[bool] = (), copy: bool = True,
    ) -> Launched | None:  # fmt: skip
        """Launch a look; None if there is nothing to look at. The arguments are those of `Measures.look`."""
        asked = (gradients, weights, copy, tuple(compared))
        if self._again is not None and (launched := self._again.launch(self, parameters, asked)) is not None:
            return launched
        plan = _Plan(self)
        for k, parameter in enumerate(parameters):
            if parameter is None:
                continue
            gradient = at_hand(parameter.grad) if gradients else None
            if gradient is not None:
                plan.norm_of(GRADIENT, k, gradient)
            weight = at_hand(parameter.detach()) if weights and parameter.layout is torch.strided else None
            if weight is not None and weight.is_floating_point() and weight.numel():
                plan.weight(k, indices[k], weight, bool(compared) and compared[k], copy)
        launched = plan.launch(len(parameters))
        self._again = _Again.of(plan, launched, parameters, asked)
        return launched

    # -- what the kernel is told --------------------------------------------------------------------------------

    def table(self, rows: npt.NDArray[np.int64], device: torch.device) -> torch.Tensor:
        """The addresses on the device; sent only where they have changed."""
        if self._table is not None and np.array_equal(self._table[0], rows) and self._table[1].device == device:
            return self._table[1]
        self._table = (rows.copy(), _sent(rows, device))
        return self._table[1]

    def layout(self, elements: list[int], device: torch.device) -> tuple[torch.Tensor, ...]:
        """Pieces of the tensors: the tensor and first element of each, and the first piece of each tensor."""
        from flightcheck.adapters.torch.native.triton_kernel import PIECE

        if self._layout is None or self._layout[0] != elements or self._layout[1][0].device != device:
            pieces = [max(1, -(-n // PIECE)) for n in elements]
            of_tensor = np.repeat(np.arange(len(elements), dtype=np.int32), pieces)
            firsts = np.concatenate([[0], np.cumsum(pieces)]).astype(np.int32)
            starts = (np.arange(len(of_tensor)) - firsts[of_tensor]).astype(np.int64) * PIECE
            room = torch.empty(len(of_tensor), ROOM, dtype=torch.float64, device=device)
            self._layout = (elements, (*(_sent(a, device) for a in (of_tensor, starts, firsts)), room))
        return self._layout[1]


Asked = tuple[bool, bool, bool, tuple[bool, ...]]
"""Gradients, weights, whether they are copied, and which of them are compared."""


@dataclass
class _Again:
    """The last look, to be launched again where only the addresses of the gradients have changed: looks at hundreds of
    tensors would else take the processor milliseconds.
    """

    asked: Asked
    rows: npt.NDArray[np.int64]
    of_gradients: list[int]
    """Their rows."""
    weights: list[int]
    """Addresses of all parameters."""
    layouts: list[Any]
    """Type and strides of the gradients."""
    launched: Launched
    type_name: str
    device: torch.device

    @staticmethod
    def of(
        plan: _Plan, launched: Launched | None, parameters: Sequence[torch.Tensor | None], asked: Asked
    ) -> _Again | None:
        """None where the next look is another one: copies were just made, or something is not the kernel's."""
        if launched is None or len(plan.rows) != 1 or plan.singles or plan.kept or plan.copies or plan.fresh:
            return None
        if any(type(p) not in _OWN for p in parameters):  # one is gone, or spread over processes
            return None
        ((dtype, rows),) = plan.rows.items()
        there = [p for p in parameters if p is not None]
        gradients = [row for row, numbers in enumerate(rows) if numbers[1]]
        layouts = _layouts(there) if asked[0] else []
        return _Again(
            asked, np.array(rows, dtype=np.int64), gradients, [p.data_ptr() for p in there], layouts,
            launched, _TYPES[dtype], plan.device,
        )  # fmt: skip

    def launch(self, measures: OnDevice, parameters: Sequence[torch.Tensor | None], asked: Asked) -> Launched | None:
        """Launch it; None if it is another one."""
        if asked != self.asked or len(parameters) != len(self.weights):
            return None
        try:
            if [p.data_ptr() for p in parameters] != self.weights:  # type: ignore[union-attr]
                return None
            if asked[0]:
                if _layouts(parameters) != self.layouts:  # type: ignore[arg-type]
                    return None
                self.rows[self.of_gradients, 1] = [p.grad.data_ptr() for p in parameters if p.grad is not None]  # type: ignore[union-attr]
        except (AttributeError, RuntimeError):  # one is gone, or sparse
            return None
        launched = replace(self.launched)
        launched.packed = run_kernel(measures, self.rows, self.type_name, self.device)
        return launched


def _layouts(parameters: Sequence[torch.Tensor]) -> list[Any]:
    return [None if (g := p.grad) is None else (g.dtype, g.stride()) for p in parameters]


def run_kernel(measures: OnDevice, rows: npt.NDArray[np.int64], type_name: str, device: torch.device) -> torch.Tensor:
    """The numbers of the kernel for a table, (rows × ROOM), float64."""
    from flightcheck.adapters.torch.native import triton_kernel

    table = measures.table(rows, device)
    of_tensor, starts, firsts, room = measures.layout(rows[:, 0].tolist(), device)
    out = torch.empty(len(rows), ROOM, dtype=torch.float64, device=device)
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():  # kernels start on the current device
        triton_kernel.launch(table, of_tensor, starts, firsts, room, out, type_name)
    return out.view(-1)


class _Plan:
    """What one look launches."""

    def __init__(self, measures: OnDevice) -> None:
        self.measures = measures
        self.rows: dict[torch.dtype, list[list[int]]] = {}
        self.places: dict[torch.dtype, list[tuple[int, int, int, float]]] = {}
        self.singles: list[tuple[int, int, float, torch.Tensor]] = []
        self.kept: list[torch.Tensor] = []
        """What must not be freed before the launch."""
        self.copies: list[tuple[torch.Tensor, torch.Tensor]] = []
        self.fresh = False
        """A copy was made that holds nothing yet."""

    def norm_of(self, start: int, k: int, tensor: torch.Tensor) -> None:
        """A gradient or a weight of which only the numbers are wanted."""
        if self._readable(tensor):
            at = [tensor.numel(), 0, 0, 0, 0]
            at[1 if start == GRADIENT else 2] = tensor.data_ptr()
            self._row(tensor.dtype, at, [(start, k, 1.0)])
        else:
            self.singles.append((start // 5, k, 1.0, tensor))

    def weight(self, k: int, index: int, weight: torch.Tensor, compare: bool, copy: bool) -> None:
        """A weight, and how far it is from its copy."""
        kept, there, share = self.measures.copies.copy_of(index, weight, copy)
        compare = compare and there
        self.fresh |= kept is not None and not there
        if kept is None:
            self.norm_of(WEIGHT, k, weight)
            return
        sampled = kept.numel() < weight.numel()
        if not self._readable(weight):
            self.singles.append((WEIGHT // 5, k, 1.0, weight))
            values = sample_of(weight) if sampled else weight
            if compare:
                self.singles.append((UPDATE // 5, k, share, values - kept))
            self.copies.append((kept, values))
            return
        places = [(WEIGHT, k, 1.0)]
        if sampled:
            self.norm_of(WEIGHT, k, weight)
            weight = sample_of(weight).contiguous()
            self.kept.append(weight)
            places = []
        if compare:
            places.append((UPDATE, k, share))
        self._row(weight.dtype, [weight.numel(), 0, weight.data_ptr(), kept.data_ptr(), int(compare)], places)

    def launch(self, count: int) -> Launched | None:
        """Start it all; the result is one tensor."""
        parts: list[torch.Tensor] = []
        launched = Launched(count, torch.empty(0), 0)
        for dtype, rows in self.rows.items():
            parts.append(run_kernel(self.measures, np.array(rows, dtype=np.int64), _TYPES[dtype], self.device))
            launched.width = ROOM
            launched.rows += [(launched.kernel_rows + r, s, k, f) for r, s, k, f in self.places[dtype]]
            launched.kernel_rows += len(rows)
        if self.singles:
            launched.single = [(kind, k, factor) for kind, k, factor, _ in self.singles]
            parts.append(_squares([t for *_, t in self.singles]))
        if self.copies:
            torch._foreach_copy_([c for c, _ in self.copies], [v for _, v in self.copies])
        if not parts:
            return None
        launched.packed = torch.cat(parts) if len(parts) > 1 else parts[0]
        return launched

    def _row(self, dtype: torch.dtype, row: list[int], places: list[tuple[int, int, float]]) -> None:
        rows = self.rows.setdefault(dtype, [])
        self.places.setdefault(dtype, []).extend((len(rows), *place) for place in places)
        rows.append(row)

    def _readable(self, tensor: torch.Tensor) -> bool:
        if not self.measures.triton or tensor.dtype not in _TYPES or type(tensor) not in _OWN:
            return False
        if tensor.layout is not torch.strided or not (tensor.is_contiguous() or dense(tensor)) or not tensor.numel():
            return False
        self.device = tensor.device
        return True


def _squares(tensors: Sequence[torch.Tensor]) -> torch.Tensor:
    """Sums of squares, of sparse tensors those of their values; float64, one for each."""
    plain = [_values(t) for t in tensors]
    norms = torch._foreach_norm(
        plain, 2, torch.float64 if any(t.dtype is torch.float64 for t in plain) else torch.float32
    )
    return torch.stack(norms).double().square()


def _values(tensor: torch.Tensor) -> torch.Tensor:
    x = tensor.detach()
    if x.layout is torch.sparse_coo:
        x = x._values()
    return torch.view_as_real(x) if x.is_complex() else x


def _sent(values: npt.NDArray[Any], device: torch.device) -> torch.Tensor:
    """On the device, without waiting: pinned memory is not used again before the copy is made."""
    tensor = torch.from_numpy(values)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.clone()


@functools.cache
def triton_works() -> bool:
    """Triton is installed and gives the right numbers on the card at hand; tried out once per process."""
    if importlib.util.find_spec("triton") is None or not torch.cuda.is_available():
        return False
    return not tried(torch.device("cuda"))


def tried(device: torch.device) -> str:
    """What the kernel gets wrong on numbers whose statistics are known; empty if nothing."""
    try:
        for dtype in _TYPES:
            values = torch.tensor([0.5, -2.0, 0.0, -0.0, 1.25, 3.0, -0.375, 8.0, 0.0, 1.0, -6.0] * 7).to(device, dtype)
            special = torch.tensor([1.0, float("inf"), -3.0, float("nan"), 0.0, 2.0] + [2.0] * 71).to(device, dtype)
            weight = torch.nn.Parameter(values.clone())
            weight.grad = special
            measures = OnDevice(triton=True)
            measures.look([0], [weight], gradients=False, weights=True)
            weight.data -= 1
            seen = measures.look([0], [weight], gradients=True, weights=True, compared=[True])
            assert seen is not None
            g, w = seen.packed.view(seen.kernel_rows, -1)[:, :15].cpu().numpy()
            expected = float((weight.detach().double() ** 2).sum())
            moved = [-77.0, 77.0, 1.0, 0.0, 0.0]
            if list(g[3:5]) != [1.0, 2.0] or not np.isnan(g[1]) or w[6] != expected or list(w[10:15]) != moved:
                return f"{dtype}: {g[:5]} {w[5:15]}"
    except Exception as e:  # no compiler, another version of Triton, a card that it does not know
        return f"{type(e).__name__}: {e}"
    return ""
