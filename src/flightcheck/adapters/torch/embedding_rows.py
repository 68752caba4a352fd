"""Which rows of an embedding are ever read."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from typing import Any, Final

import torch

from flightcheck.adapters.torch.discovery import Discovery
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording import provenance
from flightcheck.recording.embedding_rows import MOST_READ, EmbeddingRows
from flightcheck.recording.records import Location

_FEWEST_ROWS: Final = 8
"""Embeddings of segments, of stages and the like have few, of which one may be all that a task needs."""
_MOST_CALLS: Final = 64
_MOST_NUMBERS: Final = 1_000_000
_MOST_TABLES: Final = 64


@dataclass
class _Table:
    weight: weakref.ref[torch.Tensor]
    location: Location | None
    step: int
    read: set[int] = field(default_factory=set)
    calls: int = 0
    numbers: int = 0


class RowsRead:
    """Told of look-ups with gradients in the learning pass."""

    def __init__(self, watch: Watch, discovery: Discovery) -> None:
        self._watch = watch
        self._discovery = discovery
        self._tables: dict[int, _Table] = {}

    def look(self, args: Any, kwargs: Any) -> None:
        """``torch.nn.functional.embedding`` was called, or ``torch.embedding``, which has the weight in front."""
        given = [*args[:2], kwargs.get("input"), kwargs.get("weight")]
        tensors = [t for t in given if isinstance(t, torch.Tensor)]
        ids = next((t for t in tensors if not t.is_floating_point()), None)
        weight = next((t for t in tensors if t.is_floating_point() and t.requires_grad and t.is_leaf), None)
        if ids is None or weight is None or weight.dim() != 2 or len(weight) < _FEWEST_ROWS:
            return
        table = self._tables.get(id(weight))
        if table is None or table.weight() is not weight:
            if len(self._tables) >= _MOST_TABLES:
                return
            table = _Table(weakref.ref(weight), self._watch.lines.here(), self._watch.step)
            self._tables[id(weight)] = table
        if table.calls >= _MOST_CALLS or len(table.read) > MOST_READ or not ids.numel():
            return
        if not is_plain_tensor(ids) or ids.numel() > _MOST_NUMBERS:
            return
        table.calls += 1
        table.numbers += ids.numel()
        table.read.update(torch.unique(ids.detach())[: MOST_READ + 1].tolist())

    def save(self) -> None:
        """Write the tables of which few rows were read."""
        known = [(t, w) for t in self._tables.values() if (w := t.weight()) is not None]
        for i, (table, weight) in enumerate(known):
            index = self._discovery.parameter_index(weight)
            if index is not None:
                self._watch.writer.put(self._record(table, index, len(weight)), i)

    def _record(self, table: _Table, index: int, rows: int) -> EmbeddingRows:
        return EmbeddingRows(
            index, table.location, self._origin(table, index), rows=rows, read=sorted(table.read)[:MOST_READ],
            calls=table.calls, numbers=table.numbers, step=table.step,
        )  # fmt: skip

    def _origin(self, table: _Table, index: int) -> Location | None:
        """The line that computed what is looked up: the argument of ``self.place(…)`` for ``place.weight``."""
        at = table.location
        if at is None or len(table.read) > MOST_READ:
            return None
        callee = self._discovery.parameters[index].name.rpartition(".")[0].rpartition(".")[2]
        made = provenance.argument_data_origin(at.file, at.line, "input", 0, callee)
        return self._watch.lines.of(*made) if made is not None else None
