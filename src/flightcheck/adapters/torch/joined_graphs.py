"""Graphs that are joined to a batch: do the edges reach the nodes of each of them?

In the learning pass, whole-number indices are looked at by which rows of nodes are gathered and scattered, and vectors
by which the same rows are pooled, one value for each graph: these tell how many nodes a graph has.
"""

from __future__ import annotations

import dataclasses
import weakref
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.watch import Watch, hands_off
from flightcheck.recording.joined_graphs import JoinedGraphs
from flightcheck.recording.records import Location

_SCATTERS: Final = {
    "index_add", "index_add_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_", "index_reduce",
    "index_reduce_", "scatter", "scatter_",
}  # fmt: skip
_GATHERS: Final = {"index_select", "gather"}
_JOINS: Final = {"cat", "concat", "concatenate", "hstack"}
_PIECES: Final = {"split", "view", "reshape", "unflatten"}
OPERATIONS: Final = _SCATTERS | _GATHERS | _JOINS | _PIECES | {"__getitem__", "__setitem__", "sparse_coo_tensor"}
_MOST_EDGES: Final = 1 << 20
_MOST_LOOKS: Final = 64
"""Indices of a round."""
_MOST_JOINS: Final = 16
_FEWEST_GRAPHS: Final = 3

Whole = npt.NDArray[np.int64]


@dataclasses.dataclass
class _Round:
    sizes: dict[int, Whole] = dataclasses.field(default_factory=dict)
    """Rows of nodes → rows of each graph."""
    gathered: dict[int, list[Whole]] = dataclasses.field(default_factory=dict)
    scattered: dict[int, list[Whole]] = dataclasses.field(default_factory=dict)
    line: dict[int, tuple[Location | None, bool]] = dataclasses.field(default_factory=dict)
    read: dict[tuple[int, int], Whole] = dataclasses.field(default_factory=dict)
    looks: int = 0


class GraphBatches:
    """Follows edges in the learning pass; told of each operation by `Operations`."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._round = _Round()
        self._joins: list[tuple[weakref.ref[torch.Tensor], int, Location | None]] = []
        """What whole numbers of several pieces were joined to, and where."""
        self._found: JoinedGraphs | None = None

    def look(self, name: str, args: Any, kwargs: Any, result: Any) -> None:
        """One operation of `OPERATIONS`."""
        if hands_off() or not args:
            return
        if name in _JOINS:
            self._joined(args[0], result)
        elif name in _PIECES:
            self._pieces(name, args, result)
        elif name == "sparse_coo_tensor":
            self._matrix(args[0], result)
        elif name == "__setitem__":
            self._written(args)
        elif name in _SCATTERS and len(args) > 3 and args[1] == 0:
            self._scattered(args[0], args[2], args[3])
        elif name == "__getitem__":
            self._gathered(args[0], args[1])
        elif name in _GATHERS and len(args) > 2 and args[1] == 0:
            self._gathered(args[0], args[2])

    def end_round(self) -> None:
        """Count the batch of this round, and forget its numbers."""
        if self._watch.learning:
            for nodes, sizes in self._round.sizes.items():
                self._count(nodes, sizes)
        self._round = _Round()

    def save(self) -> None:
        """Write what was counted."""
        if self._found is not None:
            self._watch.writer.put(self._found)

    def _joined(self, pieces: Any, result: Any) -> None:
        several = isinstance(pieces, (list, tuple)) and len(pieces) >= _FEWEST_GRAPHS
        if several and isinstance(result, torch.Tensor) and result.dtype is torch.int64:
            place = (weakref.ref(result), _memory(result), self._watch.lines.here())
            self._joins = [*self._joins[1 - _MOST_JOINS :], place]

    def _pieces(self, name: str, args: Any, result: Any) -> None:
        """Rows that are cut up by graphs to be read out: into as many each, or by a list of their sizes."""
        given = args[0]
        if not isinstance(given, torch.Tensor) or not given.is_floating_point() or given.dim() != 2:
            return
        if name == "split":
            sizes = args[1] if len(args) > 1 else None
            if isinstance(sizes, (list, tuple)) and sum(sizes) == len(given):
                self._round.sizes.setdefault(len(given), np.array(sizes, dtype=np.int64))
        elif isinstance(result, torch.Tensor) and result.dim() == 3 and result.shape[2] == given.shape[1]:
            graphs, each = result.shape[:2]
            if graphs * each == len(given):
                self._round.sizes.setdefault(len(given), np.full(graphs, each, dtype=np.int64))

    def _matrix(self, index: Any, result: Any) -> None:
        """A sparse matrix over all nodes."""
        square = isinstance(result, torch.Tensor) and result.dim() == 2 and result.shape[0] == result.shape[1]
        if square and isinstance(index, torch.Tensor) and index.dim() == 2 and len(index) == 2:
            self._edges(result.shape[0], index[0], index[1], index)

    def _written(self, args: Any) -> None:
        """A matrix over all nodes is written at pairs of them."""
        matrix, index = args[0], args[1]
        pair = isinstance(index, tuple) and len(index) == 2 and all(_is_index(i) for i in index)
        if pair and isinstance(matrix, torch.Tensor) and matrix.dim() == 2 and matrix.shape[0] == matrix.shape[1]:
            self._edges(matrix.shape[0], index[0], index[1], index[0])

    def _edges(self, nodes: int, one: torch.Tensor, other: torch.Tensor, source: torch.Tensor) -> None:
        ends = [self._numbers(one), self._numbers(other)]
        if ends[0] is not None and ends[1] is not None and len(ends[0]) == len(ends[1]):
            self._round.gathered.setdefault(nodes, []).append(ends[0])
            self._round.scattered.setdefault(nodes, []).append(ends[1])
            self._note_line(nodes, source)

    def _gathered(self, given: Any, index: Any) -> None:
        if not (isinstance(given, torch.Tensor) and given.is_floating_point() and given.dim()) or not _is_index(index):
            return
        if (numbers := self._numbers(index)) is not None:
            self._round.gathered.setdefault(len(given), []).append(numbers)
            self._note_line(len(given), index)

    def _scattered(self, into: Any, index: Any, rows: Any) -> None:
        if isinstance(index, torch.Tensor) and index.dim() == 2:
            index = index[:, 0]  # the same for all features
        tensors = isinstance(into, torch.Tensor) and isinstance(rows, torch.Tensor) and rows.is_floating_point()
        numbers = self._numbers(index) if tensors and into.dim() and rows.dim() and _is_index(index) else None
        if numbers is None or len(numbers) != len(rows):
            return
        sizes = np.bincount(numbers) if numbers.min() == 0 else numbers[:0]
        if len(sizes) >= _FEWEST_GRAPHS and len(sizes) <= len(into) < len(rows) and (np.diff(numbers) >= 0).all():
            self._round.sizes.setdefault(len(rows), sizes)  # one value for each graph
        self._round.scattered.setdefault(len(into), []).append(numbers)

    def _numbers(self, index: torch.Tensor) -> Whole | None:
        """Read once in a round; None for what is too much, or not to be read now."""
        key = (index.data_ptr(), index.numel())
        known = self._round.read.get(key)
        if known is None:
            self._round.looks += 1
            small = 0 < index.numel() <= _MOST_EDGES and self._round.looks <= _MOST_LOOKS
            if not small or not self._watch.reads(index):
                return None
            known = self._round.read[key] = np.array(index.detach().cpu().numpy(), dtype=np.int64)
        return known

    def _note_line(self, nodes: int, index: torch.Tensor) -> None:
        if nodes not in self._round.line:
            memory = _memory(index)
            joined = [line for ref, at, line in self._joins if at == memory and ref() is not None]
            self._round.line[nodes] = (joined[-1], True) if joined else (self._watch.lines.here(), False)

    def _count(self, nodes: int, sizes: Whole) -> None:
        """A batch of several graphs, if rows were passed along edges between its nodes."""
        pairs = list(_pairs(self._round.gathered.get(nodes, ()), self._round.scattered.get(nodes, ())))
        largest = int(sizes.max())
        if not pairs or len(sizes) < _FEWEST_GRAPHS or nodes < 2 * largest:
            return
        codes = [p[0] * np.int64(nodes) + p[1] for p in pairs]
        edges = sum(len(c) for c in codes)
        recurring = sum(len(c) - len(np.unique(c)) for c in codes)
        reach = int(max(p.max() for p in pairs if p.size)) + 1 if edges else 0
        within = bool(edges) and reach <= largest and recurring > 0
        location, joined = self._round.line.get(nodes, (None, False))
        f = self._found or JoinedGraphs(self._watch.step, location, joined)
        self._found = dataclasses.replace(
            f,
            batches=f.batches + 1,
            within=f.within + within,
            graphs=f.graphs + len(sizes),
            nodes=f.nodes + nodes,
            edges=f.edges + edges,
            recurring=f.recurring + recurring,
            largest=max(f.largest, largest),
            reach=max(f.reach, reach),
        )


def _is_index(index: Any) -> bool:
    return isinstance(index, torch.Tensor) and index.dtype is torch.int64 and index.dim() == 1


def _memory(tensor: torch.Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _pairs(gathered: Any, scattered: Any) -> Iterator[Whole]:
    """(2, edges), each pair of indices once, without the edges from a node to itself."""
    seen: set[tuple[int, int]] = set()
    for one in gathered:
        for other in scattered:
            if len(one) == len(other) and one is not other and (id(one), id(other)) not in seen:
                seen.add((id(one), id(other)))
                apart = one != other
                yield np.stack([one[apart], other[apart]])
