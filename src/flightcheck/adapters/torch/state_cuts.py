"""States of recurrent cells that are cut off the graph between two of their own steps."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.sequences import CutState

CELLS: Final = {"gru_cell", "lstm_cell", "rnn_tanh_cell", "rnn_relu_cell"}
_FEWEST: Final = 2
"""Cuts in one round: truncated backpropagation through time cuts once per backward, before the first step."""


class StateCuts:
    """Looks at the calls of recurrent cells in the learning pass."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._cut: dict[int, tuple[torch.Tensor, Location | None]] = {}
        """Identity of a tensor that was cut off in this round → itself, and the line."""
        self._of_cells: set[Any] = set()
        """Nodes of this round that a cell made."""
        self._calls: dict[str, int] = {}
        """Per kind of cell: calls of this round."""
        self._given: dict[tuple[str, Location | None], int] = {}
        """Those of them whose state was cut off at a line."""
        self._known: dict[tuple[str, Location | None], CutState] = {}

    def cut(self, given: Any, result: Any, line: Location | None) -> None:
        """At this line `result` was taken out of the graph of `given`."""
        if isinstance(given, torch.Tensor) and isinstance(result, torch.Tensor) and given.grad_fn in self._of_cells:
            self._cut[id(result)] = (result, line)

    def look(self, name: str, args: Any, result: Any) -> None:
        """One operation of `CELLS`."""
        self._calls[name] = self._calls.get(name, 0) + 1
        lines = {self._cut[id(t)][1] for t in _tensors(args) if id(t) in self._cut}
        for line in lines:
            self._given[name, line] = self._given.get((name, line), 0) + 1
        self._of_cells.update(t.grad_fn for t in _tensors((result,)) if t.grad_fn is not None)

    def end_round(self) -> None:
        """Count this round, and forget its graph."""
        for (name, line), cuts in self._given.items():
            if cuts >= _FEWEST:
                known = self._known.get((name, line)) or CutState(name, line, self.watch.step)
                self._known[name, line] = dataclasses.replace(
                    known, rounds=known.rounds + 1, calls=known.calls + self._calls[name], cut=known.cut + cuts
                )
        self._cut.clear()
        self._of_cells.clear()
        self._calls.clear()
        self._given.clear()

    def save(self) -> None:
        """Write what was seen."""
        for i, state in enumerate(self._known.values()):
            self.watch.writer.put(state, i)


def _tensors(values: Any) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)
