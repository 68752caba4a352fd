"""How often each category's number was looked up: in training, and in single evaluations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording import provenance
from flightcheck.recording.batches import CategoryCounts
from flightcheck.recording.provenance.buffers import built_by
from flightcheck.recording.provenance.vocabularies import second_making
from flightcheck.recording.records import Location

_COLUMNS: Final = 16
_LARGEST: Final = 2000
_CALLS: Final = 400
"""Training calls that are counted."""
_EVALUATIONS: Final = 3
"""Evaluations of one line that are counted."""

Counts = npt.NDArray[np.int64]


@dataclass
class _Tally:
    columns: list[Counts] = field(default_factory=list)
    calls: int = 0
    location: Location | None = None
    step: int = 0


class Categories:
    """Counts the whole numbers in the few columns of an argument."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._tallies: dict[tuple[Any, ...], _Tally] = {}

    def fed(self, root: int, inputs: list[tuple[str, torch.Tensor]], training: bool, location: Location | None) -> None:
        """A call of a root."""
        for name, tensor in inputs:
            if tensor.dtype not in (torch.int32, torch.int64) or tensor.dim() not in (1, 2) or len(tensor) < 2:
                continue
            if (tensor.dim() == 2 and not 1 <= tensor.shape[1] <= _COLUMNS) or not is_plain_tensor(tensor):
                continue
            key = (root, name, training) if training else (root, name, training, location, self.watch.step)
            tally = self._tallies.get(key)
            if tally is None:
                if not training and sum(k[:4] == key[:4] for k in self._tallies) >= _EVALUATIONS:
                    continue
                tally = self._tallies[key] = _Tally(location=location, step=self.watch.step)
            if tally.calls < _CALLS:
                tally.calls += 1
                _count(tally, tensor)

    def save(self) -> None:
        """Write the counts."""
        number = 0
        for (root, name, training, *_), tally in self._tallies.items():
            line, known = (None, "") if training else self._made(tally.location)
            for column, counts in enumerate(tally.columns):
                if len(counts) > 2:
                    record = CategoryCounts(root, name, column, training, tally.step, counts.tolist(), line, known)
                    self.watch.writer.put(record, number)
                    number += 1

    def _made(self, location: Location | None) -> tuple[Location | None, str]:
        """The line that made the categories of an evaluation, and the name of what was made for the training."""
        if location is None:
            return None, ""
        second = second_making(location.file, location.line)
        if second is not None:
            return self.watch.lines.of(location.file, second[0]), second[1]
        made = built_by(location.file, location.line)
        made = made or provenance.value_origin(location.file, location.line, None, location.function)
        return (self.watch.lines.of(*made) if made is not None else location), ""


def _count(tally: _Tally, tensor: torch.Tensor) -> None:
    ids = tensor.detach().to("cpu", torch.int64).numpy().reshape(len(tensor), -1)
    if ids.min() < 0 or ids.max() > _LARGEST or (tally.columns and len(tally.columns) != ids.shape[1]):
        return
    for i in range(ids.shape[1]):
        counts = np.bincount(ids[:, i])
        if len(tally.columns) <= i:
            tally.columns.append(counts)
            continue
        known = tally.columns[i]
        if len(counts) > len(known):
            counts, known = known, counts.copy()
        known[: len(counts)] += counts
        tally.columns[i] = known
