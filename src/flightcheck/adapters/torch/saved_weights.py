"""Where a script saves its weights. Nothing of them is read or kept, only the names of the files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from flightcheck.adapters.torch.watch import Watch
from flightcheck.recording.records import Location
from flightcheck.recording.saved_weights import SavedWeights

_MOST_FILES: Final = 64
"""Files that are remembered, the last ones: a script may write one at every epoch."""


class SavedFiles:
    """The files that ``torch.save`` wrote and that hold weights."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[str, SavedWeights] = {}
        self._saves = 0

    def saved(self, value: Any, target: Any, location: Location | None) -> None:
        """`value` was written to `target`: a path, or a stream, of which nothing is known."""
        if not isinstance(target, (str, os.PathLike)) or not _holds_weights(value):
            return
        path = str(Path(os.fsdecode(target)).absolute())
        before = self._found.pop(path, None)
        saves = before.saves + 1 if before is not None else 1
        self._found[path] = SavedWeights(path, self.watch.step, saves, self._saves, location)
        self._saves += 1
        if len(self._found) > _MOST_FILES:
            del self._found[next(iter(self._found))]

    def save(self) -> None:
        """Write the records."""
        for index, found in enumerate(self._found.values()):
            self.watch.writer.put(found, index)


def _holds_weights(value: Any) -> bool:
    """It is a model, or holds a table of tensors by names: a state, alone or beside other things."""
    if isinstance(value, nn.Module):
        return True
    if not isinstance(value, Mapping):
        return False
    if any(isinstance(v, torch.Tensor) for v in value.values()):
        return True
    inner = [v for v in value.values() if isinstance(v, (Mapping, nn.Module))]
    return any(isinstance(v, nn.Module) or any(isinstance(t, torch.Tensor) for t in v.values()) for v in inner)
