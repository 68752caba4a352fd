"""Batches whose rows are sorted (by length, to be packed): do targets and predictions stand in one order at the loss?

What the order touched is followed through the operations of its round: the rows that were put into it, all that is
computed of them, and the places themselves, there and back. A prediction of sorted rows and a target that the order
never met belong together only if somebody put the rows back, and for that the places are needed.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.records import Location
from flightcheck.recording.sorted_rows import SortedRows

_SORTS: Final = {"sort", "argsort"}
_PICKS: Final = {"__getitem__", "index_select"}
_LEAVING: Final = {"tolist", "numpy", "item", "__array__", "__iter__", "unbind", "__int__", "__index__"}
"""After these the places may be used anywhere: Python's own objects are not followed."""
_MOST_ROWS: Final = 4096


@dataclasses.dataclass(eq=False)
class _Order:
    rows: int
    longest: int
    """The largest of the numbers that were sorted."""
    moves: bool
    """It is another order than before."""
    sorted_at: Location | None
    used_at: Location | None = None
    """The line that put rows as long as that into the order."""
    restored: bool = False
    """Rows that stand in it met it again, or it may have gone where it cannot be followed."""


_Orders = frozenset[_Order]


@dataclasses.dataclass(frozen=True)
class _Touched:
    """What of an order is in a tensor."""

    rows: _Orders = frozenset()
    """It stands in these orders, or was computed of what does."""
    places: _Orders = frozenset()
    """It holds the places of these orders, or the way back."""


class SortedBatches:
    """Told of each operation of the learning pass, and of losses."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._of: dict[int, tuple[weakref.ref[torch.Tensor], _Touched]] = {}
        self._found: dict[int, SortedRows] = {}

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """An operation returned `result`."""
        if name in _SORTS and args and isinstance(args[0], torch.Tensor) and not self._touched(args[0]).places:
            self._sorted(args[0], result)
            return
        if not self._of:
            return
        given = list(_tensors((*args, *kwargs.values())))
        touched = [self._touched(t) for t in given]
        rows, places = _Orders().union(*(t.rows for t in touched)), _Orders().union(*(t.places for t in touched))
        if name in _LEAVING or rows & places:
            for order in places if name in _LEAVING else rows & places:
                order.restored = True
        if not rows and not places:
            return
        if name in _PICKS and places and isinstance(given[0], torch.Tensor):
            self._picked(given[0], places - rows)
        written = name == "__setitem__" or (name.endswith("_") and not name.endswith("__"))
        for tensor in _tensors((args[0] if written and args else result,)):
            back = _Orders(o for o in places if _is_permutation(tensor, o.rows))
            self._note(tensor, _Touched(rows | (places - back), back))

    def _sorted(self, lengths: torch.Tensor, result: Any) -> None:
        """Whole numbers, one for each row, were sorted: lengths."""
        places = result[1] if isinstance(result, tuple) and len(result) > 1 else result
        if lengths.dim() != 1 or lengths.is_floating_point() or not 1 < len(lengths) <= _MOST_ROWS:
            return
        if not (is_plain_tensor(lengths) and is_plain_tensor(places)):
            return
        moves = not bool((places == torch.arange(len(places), device=places.device)).all())
        order = _Order(len(places), int(lengths.max()), moves, self.watch.lines.here())
        self._note(places, _Touched(places=_Orders((order,))))
        if places is not result:
            self._note(result[0], _Touched(rows=_Orders((order,))))

    def _picked(self, table: torch.Tensor, orders: _Orders) -> None:
        """Rows were put into an order: are they sequences of the lengths that were sorted?"""
        for order in orders:
            for axis in range(min(2, table.dim())):
                others = [n for i, n in enumerate(table.shape[:3]) if i != axis]
                if table.shape[axis] == order.rows and max(others, default=0) >= order.longest:
                    order.used_at = order.used_at or self.watch.lines.here()

    def compared(self, site: int, prediction: torch.Tensor, target: torch.Tensor) -> None:
        """A loss was called in training."""
        if not self._of:
            return
        made = self._touched(prediction).rows
        if len(made) != 1 or not target.dim() or target.requires_grad:
            return
        (order,) = made
        if not order.moves or order.used_at is None or order.rows != len(target) or len(prediction) != len(target):
            return
        wanted = self._touched(target)
        apart = not (order.restored or wanted.rows or wanted.places or _tells_nothing(target))
        known = self._found.get(site) or SortedRows(site, order.used_at, order.sorted_at, order.rows)
        self._found[site] = dataclasses.replace(known, calls=known.calls + 1, apart=known.apart + apart)

    def end_round(self) -> None:
        """Forget this round's tensors."""
        self._of.clear()

    def save(self) -> None:
        """Write what was seen."""
        for site, found in self._found.items():
            self.watch.writer.put(found, site)

    def _note(self, tensor: torch.Tensor, touched: _Touched) -> None:
        self._of[id(tensor)] = (weakref.ref(tensor), touched)

    def _touched(self, tensor: torch.Tensor) -> _Touched:
        known = self._of.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else _Touched()


def _is_permutation(tensor: torch.Tensor, rows: int) -> bool:
    if tensor.dim() != 1 or len(tensor) != rows or tensor.is_floating_point() or not is_plain_tensor(tensor):
        return False
    return bool((tensor.sort().values == torch.arange(rows, device=tensor.device)).all())


def _tells_nothing(target: torch.Tensor) -> bool:
    """One value for all, or the numbers of the rows: such a target fits any order."""
    flat = target.detach().reshape(len(target), -1)
    if bool((flat == flat[:1]).all()):
        return True
    return flat.shape[1] == 1 and bool((flat[:, 0] == torch.arange(len(flat), device=flat.device)).all())


def _tensors(values: Any, depth: int = 0) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)) and depth < 3:
            yield from _tensors(value, depth + 1)
