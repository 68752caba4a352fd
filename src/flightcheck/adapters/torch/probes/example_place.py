"""Where do the examples of a batch get mixed, or come out in another order than they went in?

Of what belongs to single examples there is nothing new where some of them take the places of others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import torch
from torch.overrides import TorchFunctionMode

from flightcheck.adapters.torch.batches import first_tensor
from flightcheck.adapters.torch.probes.leak_place import Here
from flightcheck.recording.records import Location

_NOISE: Final = 1e-7
_INFINITE: Final = 1e6
"""In the place of an infinite number."""
_PICKS: Final = {"__getitem__", "index_select"}
_MOST_ELEMENTS: Final = 50_000_000
"""Values of single operations that are looked at."""


@dataclasses.dataclass
class _Operation:
    """What one operation gave."""

    rows: list[torch.Tensor] | None
    """For each axis of the length of the batch: one number for each of its rows, from small to large; None where there
    is no such axis, or nothing but whole numbers.
    """
    shape: tuple[int, ...]
    line: Location | None
    order: int = 0
    """Identity of the whole numbers by which it picked rows, one for each example; 0 for any other operation."""


class _Trace(TorchFunctionMode):
    """The operations of one call of a model, in order."""

    def __init__(self, n: int, here: Here) -> None:
        super().__init__()
        self.operations: list[_Operation] = []
        self._held: list[torch.Tensor] = []
        """Orders: their identities stay theirs."""
        self._n, self._here, self._left = n, here, _MOST_ELEMENTS

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        if name not in ("__get__", "size", "dim"):
            rows, order = self._rows(first_tensor(result)), self._order(name, args)
            looked = rows is not None or order
            made = first_tensor(result)
            shape = tuple(made.shape) if made is not None else ()
            self.operations.append(_Operation(rows, shape, self._here() if looked else None, order))
        return result

    def _rows(self, made: torch.Tensor | None) -> list[torch.Tensor] | None:
        if made is None or not made.is_floating_point() or self._n not in made.shape or self._left < made.numel():
            return None
        self._left -= made.numel()
        return [_numbers(made, axis) for axis, size in enumerate(made.shape) if size == self._n]

    def _order(self, name: str, args: Any) -> int:
        given = args[1:] if name in _PICKS else ()
        parts = [p for a in given for p in (a if isinstance(a, tuple) else (a,))]
        orders = [p for p in parts if isinstance(p, torch.Tensor) and _is_order(p, self._n)]
        if not orders:
            return 0
        self._held.append(orders[0])
        return id(orders[0])


def example_place(call: Callable[[bool], Any], n: int, here: Here) -> dict[str, Any]:
    """The line at which the examples of a batch get mixed.

    Args:
        call: calls the model, with the examples as they were (False) or with all but one replaced by others of them.
        n: how many there are.
        here: tells the innermost line of the user's code.

    Returns:
        ``at``, the line of the first operation that gives rows which were not there before: it made them of several
        examples. Where there is none, the examples are not mixed, but come out in another order: then the line of the
        last operation that picks rows, and ``order``: ``twice`` if it does so by the very numbers by which an earlier
        one did, else ``once``. Empty where the two calls are not made of the same operations, or there is no such line.
    """
    traces = []
    for moved in (False, True):
        trace = _Trace(n, here)
        with trace:
            call(moved)
        traces.append(trace.operations)
    if len(traces[0]) != len(traces[1]):
        return {}
    for before, after in zip(*traces, strict=True):
        if before.rows is None or after.rows is None or before.line is None or before.shape != after.shape:
            continue  # of another length, as where the longest example is gone: nothing to compare
        if not any(_known(one, other) for one, other in zip(before.rows, after.rows, strict=True)):
            return {"at": dataclasses.asdict(before.line)}
    picks = [o for o in traces[0] if o.order and o.line is not None]
    if not picks or picks[-1].line is None:
        return {}
    again = any(o.order == picks[-1].order and o.line != picks[-1].line for o in picks[:-1])
    return {"at": dataclasses.asdict(picks[-1].line), "order": "twice" if again else "once"}


def _is_order(index: torch.Tensor, n: int) -> bool:
    """All numbers from 0 to n - 1, and not in this order."""
    if index.shape != (n,) or index.dtype != torch.int64:
        return False
    counted = torch.arange(n, device=index.device)
    return torch.equal(index.sort().values, counted) and not torch.equal(index, counted)


def _numbers(made: torch.Tensor, axis: int) -> torch.Tensor:
    """One for each row, the same for rows that are the same."""
    finite = torch.nan_to_num(made.detach().double(), nan=0.0, posinf=_INFINITE, neginf=-_INFINITE)  # of a mask
    rows = finite.movedim(axis, 0).reshape(made.shape[axis], -1)
    generator = torch.Generator().manual_seed(rows.shape[1])
    weights = torch.rand(rows.shape[1], generator=generator, dtype=torch.float64).to(rows.device)
    return (rows @ weights).sort().values


def _known(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Every row of the second was one of the first."""
    above = torch.searchsorted(before, after).clamp(max=len(before) - 1)
    nearest = torch.minimum((before[above] - after).abs(), (before[(above - 1).clamp(min=0)] - after).abs())
    return float(nearest.max()) <= _NOISE * max(float(before.abs().max()), 1e-30)
