"""How far the outputs of models reach, by the line that calls them: for what is compared with them out of our sight."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator
from typing import Final

import torch

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.provenance.thresholds import thresholds
from flightcheck.recording.records import Location
from flightcheck.recording.surroundings import Comparison

_MOST_LINES: Final = 16
_MOST_CALLS: Final = 8
"""Calls of a line whose outputs are looked at."""
_MOST_ELEMENTS: Final = 65_536


class OutputRanges:
    """Told of every outermost call."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[Location, Comparison] = {}

    def returned(self, output: torch.Tensor, line: Location | None) -> None:
        """A model returned to a line."""
        known = self._found.get(line) if line is not None else None
        if line is None or (known is None and len(self._found) >= _MOST_LINES):
            return
        known = known or Comparison("", line, self.watch.step, calls=0)
        if known.calls >= _MOST_CALLS or not output.is_cpu or not 0 < output.numel() <= _MOST_ELEMENTS:
            return
        low, high = (float(v) for v in torch.aminmax(output.detach().float()))
        if known.minimum is not None and known.maximum is not None:
            low, high = min(low, known.minimum), max(high, known.maximum)
        self._found[line] = dataclasses.replace(
            known, calls=known.calls + 1, left_shape=list(output.shape), minimum=low, maximum=high
        )

    def cut(self, seen: Collection[Location | None]) -> Iterator[Comparison]:
        """Comparisons of these outputs with about a half that only the source shows, but for the lines already seen."""
        for file in sorted({line.file for line in self._found}):
            mine = {line.line: found for line, found in self._found.items() if line.file == file}
            for cut in thresholds(file, set(mine)):
                at = self.watch.lines.of(file, cut.line)
                if at not in seen:
                    yield dataclasses.replace(
                        mine[cut.call_line],
                        operation=cut.operation,
                        location=at,
                        threshold=cut.value,
                        used_location=mine[cut.call_line].location,
                    )
