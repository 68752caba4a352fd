"""What evaluations count: the truth values that each line of the script adds up."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.provenance.divisions import division_of
from flightcheck.recording.records import Location
from flightcheck.recording.tallies import Tally

SUMS: Final = {"sum", "mean", "count_nonzero"}
_MOST_ELEMENTS: Final = 65_536
_MOST_CALLS: Final = 512
"""Calls of a line in one phase: of longer evaluations nothing is said."""
_MOST_PHASES: Final = 64
_MOST_LINES: Final = 16


class Tallies:
    """Follows one evaluation phase after the other."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._phases = 0
        self._source = -1
        self._given: dict[int, tuple[int, int, int]] = {}
        """Dataset → calls of models, examples, examples of the last call."""
        self._found: dict[tuple[Location | None, int], Tally] = {}
        self._divisions: dict[Location | None, dict[str, Any]] = {}

    def evaluated(self, rows: int, source: int) -> None:
        """A model was called in an evaluation, with so many examples of a data set."""
        self._source = source
        calls, before, _ = self._given.get(source, (0, 0, 0))
        self._given[source] = calls + 1, before + rows, rows

    def added_up(self, values: Any, kwargs: Any, equal: bool) -> None:
        """A sum, or a mean, over all elements of a tensor was computed; `equal`: they tell where two tensors were."""
        if not self._given or self._phases >= _MOST_PHASES or not is_plain_tensor(values):
            return
        if kwargs.keys() - {"dtype"} or not 0 < values.numel() <= _MOST_ELEMENTS or not truth_values(values):
            return
        key = (self.watch.lines.here(), self._source)
        if key not in self._found and len(self._found) >= _MOST_LINES:
            return
        known = self._found.get(key) or Tally(self.watch.step, *key, **self._division(key[0]))
        if len(known.true) <= _MOST_CALLS:
            true = [*known.true, int(values.sum())]
            equal &= known.equal or not known.true
            self._found[key] = dataclasses.replace(
                known, true=true, counted=[*known.counted, values.numel()], equal=equal
            )

    def _division(self, line: Location | None) -> dict[str, Any]:
        if line not in self._divisions:
            found = division_of(line.file, line.line) if line is not None else None
            self._divisions[line] = {}
            if found is not None and line is not None:
                at = self.watch.lines.of(line.file, found.line)
                self._divisions[line] = {
                    "division": at,
                    "numerator": found.numerator,
                    "divisor": found.divisor,
                    "divisor_location": self.watch.lines.of(line.file, found.given),
                }
        return self._divisions[line]

    def end_phase(self) -> None:
        """The evaluation is over: write what it counted."""
        self._phases += bool(self._found)
        for (_, source), tally in self._found.items():
            calls, rows, last = self._given.get(source, (0, 0, 0))
            if len(tally.true) <= _MOST_CALLS:
                self.watch.writer.append(dataclasses.replace(tally, calls=calls, rows=rows, last_rows=last))
        self._found.clear()
        self._given.clear()


def truth_values(values: torch.Tensor) -> bool:
    """Truth values, or the numbers 0 and 1 in their place."""
    return values.dtype is torch.bool or bool(((values == 0) | (values == 1)).all())
