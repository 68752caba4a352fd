"""Rows of two tables beside each other: were they drawn in one order, and do the tables belong together row by row?

Which rows a batch holds is known (`separate_orders`); what stands in them is kept by their numbers, so that rows of the
two tables with one number can be compared although no batch ever held both.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.joined_orders import JoinedOrders
from flightcheck.recording.records import Location

if TYPE_CHECKING:
    from flightcheck.adapters.torch.separate_orders import Batch

OPERATIONS: Final = {"cat", "concat", "concatenate"}
_MOST_LINES: Final = 8
_MOST_COLUMNS: Final = 16
_COMMONEST: Final = 0.8
"""Share of the rows with one value, above which the others are too few to tell of a correlation."""
_MOST_KEPT: Final = 8192
"""Rows of a table."""


@dataclass
class _Join:
    calls: int = 0
    apart: int = 0
    rows: int = 0
    same: int = 0
    last: tuple[Batch, Batch] | None = None
    one: dict[int, torch.Tensor] = field(default_factory=dict)
    """Number of a row → its first columns."""
    other: dict[int, torch.Tensor] = field(default_factory=dict)
    drawn: list[tuple[int, int]] = field(default_factory=list)


class JoinedRows:
    """Told of the batches that an operation joins, in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._joins: dict[Location, _Join] = {}

    def look(self, args: Any, kwargs: Any, given: list[tuple[torch.Tensor, frozenset[Batch]]]) -> None:
        """Tensors were joined, each made of these batches."""
        batches = sorted({b for _, found in given if len(found) == 1 for b in found}, key=lambda b: b.iterator)
        if len(batches) != 2 or any(len(found) != 1 for _, found in given):
            return
        one, other = batches
        if one.iterator == other.iterator or one.dataset == other.dataset or one.examples != other.examples:
            return
        if not one.drawn or not other.drawn or len(one.drawn) != len(other.drawn) or one.picked != other.picked:
            return
        if not _beside(args, kwargs, [t for t, _ in given], len(one.drawn)):
            return
        line = self.watch.lines.here()
        if line is None or (line not in self._joins and len(self._joins) >= _MOST_LINES):
            return
        join = self._joins.setdefault(line, _Join())
        join.calls += 1
        join.rows += len(one.drawn)
        join.same += sum(a == b for a, b in zip(one.drawn, other.drawn, strict=True))
        join.last = one, other  # without their rows when the round is over
        if one.drawn != other.drawn:
            join.apart += 1
            _keep(join.one, one)
            _keep(join.other, other)
            join.drawn += zip(one.drawn, other.drawn, strict=True)

    def save(self) -> None:
        """Write what was seen."""
        tables = [b.dataset for j in self._joins.values() if j.last is not None for b in j.last]
        for index, (line, join) in enumerate(self._joins.items()):
            if join.last is None:
                continue
            one, other = join.last
            pairs = [(i, i) for i in join.one.keys() & join.other.keys()]
            if _copied(join, pairs):
                continue
            following = [(i, i + 1) for i in join.one if i + 1 in join.other]
            related, columns = _related(join, pairs)
            found = JoinedOrders(
                line, join.calls, join.apart, join.same / join.rows, one.location, other.location, one.picked,
                one.examples, len(pairs), related, _related(join, following, columns)[0],
                _related(join, join.drawn, columns)[0], sorted(tables.index(b.dataset) for b in join.last),
            )  # fmt: skip
            self.watch.writer.put(found, index)


def _beside(args: Any, kwargs: Any, given: list[torch.Tensor], rows: int) -> bool:
    """Each tensor has a row for each drawn example, and what is joined stands beside each other, and not below."""
    axis = kwargs.get("dim", kwargs.get("axis", args[1] if len(args) > 1 else 0))
    usual = all(t.dim() > 1 and len(t) == rows for t in given)
    return usual and isinstance(axis, int) and axis % given[0].dim() != 0


def _keep(kept: dict[int, torch.Tensor], batch: Batch) -> None:
    """The rows of a batch, by their numbers."""
    values = batch.values
    if values is None or not batch.drawn or len(kept) >= _MOST_KEPT or len(values) != len(batch.drawn):
        return
    rows = values.detach().reshape(len(values), -1)[:, :_MOST_COLUMNS].double()
    kept.update(zip(batch.drawn, rows.clone(), strict=True))


def _copied(join: _Join, pairs: list[tuple[int, int]]) -> bool:
    """One table holds a column of the other: what belongs together is in it, and what is joined is meant."""
    if len(pairs) < 3:
        return False
    one, other = (torch.stack(side) for side in zip(*((join.one[i], join.other[j]) for i, j in pairs)))
    alike = (one[:, :, None] - other[:, None, :]).abs().max(0).values <= 1e-6
    varied = one.std(0, correction=0)[:, None] > 1e-6
    return bool((alike & varied).any())


def _related(
    join: _Join, pairs: list[tuple[int, int]], columns: tuple[int, int] | None = None
) -> tuple[float, tuple[int, int] | None]:
    """The largest absolute correlation of two columns, one of each table, and which they are."""
    known = [(join.one[i], join.other[j]) for i, j in pairs if i in join.one and j in join.other]
    if len(known) < 3:
        return 0.0, None
    one, other = (_with_squares(torch.stack(side)) for side in zip(*known))
    both = (one.T @ other / len(known)).abs().nan_to_num()
    if columns is not None:
        return float(both[columns]), columns
    best = int(both.argmax())
    place = divmod(best, both.shape[1])
    return float(both[place]), place


def _with_squares(rows: torch.Tensor) -> torch.Tensor:
    """The ranks of each column, and how far they are from the middle, each with mean 0 and variance 1: no single row
    weighs more than another. Zeros for a column with one value in most rows.
    """
    ordered = rows.sort(0).values
    first = torch.searchsorted(ordered.T.contiguous(), rows.T.contiguous())
    last = torch.searchsorted(ordered.T.contiguous(), rows.T.contiguous(), right=True)
    ranks = (first + last).T.double()  # of equal values, that of their middle
    rare = (last - first).T.max(0).values > _COMMONEST * len(rows)
    both = torch.cat([ranks, (ranks - ranks.mean(0)).abs()], 1)
    both = both - both.mean(0)
    deviation = both.std(0, correction=0)
    usable = (deviation > 1e-9) & ~torch.cat([rare, rare])
    return torch.where(usable, both / deviation.clamp_min(1e-9), torch.zeros_like(both))
