"""What rounds leave behind, and what they wait for: graphs that are still held, batches that are late."""

from __future__ import annotations

import itertools
import weakref
from collections import deque
from typing import Any, Final

import torch

from flightcheck.adapters.torch.graph import nodes_of
from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance import keeps_graph
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Resources as Record

_FOLLOWED: Final = 256
_COUNTED_EVERY: Final = 25
_MARKED_AT_REST: Final = 4
"""In rounds of which only the loss is read, one graph of so many is marked: a mark takes 6 µs there."""
_LATEST: Final = 3
"""Rounds whose losses may well be alive: variables of the loop."""
_KEY: Final = "flightcheck"
_SCALED: Final = "flightcheck scaled"
_NEAR: Final = 64
"""Nodes behind a loss among which another loss is looked for: of a sum, the one before is the nearest but one."""


class _Mark:
    """Lies in the metadata of a graph node and lives as long as the node; it holds nothing of the graph."""

    __slots__ = ("__weakref__", "round")
    round: int
    """In which it was made."""


class ResourceUse:
    """Marks graphs and counts the marks that are left; adds up the waiting for batches."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._marks: deque[tuple[weakref.ref[_Mark], int]] = deque(maxlen=_FOLLOWED)
        """And for how many graphs each stands: itself, and those before it that were not marked."""
        self._marked = self._unmarked = 0
        self._graphs = 0
        self._kept = 0
        self._location: Location | None = None
        self._batches = 0
        self._waited = 0.0
        self._first = self._last = 0.0
        self._spent_at_first = self._spent = 0.0

    def backward_done(self, loss: torch.Tensor, location: Location | None, history: bool = True) -> None:
        """A backward returned: from now on nobody needs the graph of `loss`. Without `history` it is marked, but does
        not count as one that is kept.
        """
        self._unmarked += 1
        if self.watch.resting and self._unmarked < _MARKED_AT_REST:
            return
        node = loss.grad_fn
        if node is None:
            self._unmarked -= 1
            return
        mark = _Mark()
        mark.round = self.watch.step
        metadata: Any = node.metadata
        metadata[_KEY] = mark
        if not history:
            self._unmarked = 0
            return
        self._marks.append((weakref.ref(mark), self._unmarked))
        self._graphs += self._unmarked
        self._unmarked = 0
        self._marked += 1
        if self._marked % _COUNTED_EVERY == 0:
            self._count(location)

    def scaled(self, outputs: Any) -> None:
        """A gradient scaler multiplied these losses."""
        for one in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
            if isinstance(one, torch.Tensor) and one.grad_fn is not None:
                metadata: Any = one.grad_fn.metadata
                metadata[_SCALED] = True

    def met_before(self, loss: torch.Tensor) -> set[str]:
        """What is known of a graph on which backward is about to be called.

        Returns:
            ``old``: a loss of an earlier round is a part of it. ``repeated``: backward was called on this very loss.
            ``scaled``: it holds a loss that a gradient scaler multiplied.
        """
        found: set[str] = set()
        for node in itertools.islice(nodes_of(loss.grad_fn), _NEAR) if loss.grad_fn is not None else ():
            mark = node.metadata.get(_KEY)
            if mark is not None and node is loss.grad_fn:
                found.add("repeated")
            elif isinstance(mark, _Mark) and mark.round < self.watch.step:
                found.add("old")
            if node.metadata.get(_SCALED):
                found.add("scaled")
        return found

    def old_nodes(self, loss: torch.Tensor) -> list[Any]:
        """The losses of earlier rounds that are parts of a loss, as nodes of its graph: those nearest to it."""
        if loss.grad_fn is None:
            return []
        near = list(itertools.islice(nodes_of(loss.grad_fn), _NEAR))
        marks = [(node, node.metadata.get(_KEY)) for node in near]
        return [node for node, mark in marks if isinstance(mark, _Mark) and mark.round < self.watch.step][:1]

    def _count(self, location: Location | None) -> None:
        older = list(self._marks)[:-_LATEST]
        kept = sum(graphs for mark, graphs in older if mark() is not None)
        if kept > self._kept:
            self._kept = kept
            self._location = location

    def waited(self, seconds: float, now: float) -> None:
        """A batch was taken from a loader after so long; `now` is the time on the wall's clock."""
        if not self._first:  # the start of the workers is not told apart from the first batch
            self._first, self._spent_at_first = now, self.watch.spent
            return
        self._batches += 1
        self._waited += seconds
        self._last, self._spent = now, self.watch.spent

    def save(self) -> None:
        """Write the record."""
        line = self._location
        found = keeps_graph(line.file, line.line) if line is not None else None
        self.watch.writer.put(
            Record(
                graphs=self._graphs,
                graphs_kept=self._kept,
                graphs_kept_location=self.watch.lines.of(*found) if found else line,
                batches=self._batches,
                batch_seconds=self._waited,
                seconds=max(0.0, self._last - self._first - (self._spent - self._spent_at_first)),
            )
        )
