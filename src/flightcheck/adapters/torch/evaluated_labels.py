"""Which classes do evaluations hold? Counted where answers of a model are compared with labels, by data set."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.batches import digest_of
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.records import Location

_MOST_CLASSES: Final = 100
_MOST_LABELS: Final = 8192
"""Of one key; more tell nothing new."""
_MOST_KEYS: Final = 32


class LabelsOfEvaluations:
    """Counts classes by line and data set; where no loader was asked, by the tensor that holds the labels."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._counts: dict[tuple[Any, ...], npt.NDArray[np.int64]] = {}
        self._fewest: dict[tuple[Any, ...], int] = {}
        self._places: dict[tuple[Any, ...], tuple[int, Location | None, int, str]] = {}

    def given(self, labels: Any, source: int, examples: torch.Tensor | None) -> None:
        """A row of true classes, one for each of the examples that the model was called on last; numbers and truth
        values if they are 0 and 1 alone.
        """
        if not isinstance(labels, torch.Tensor) or not labels.numel() or not is_plain_tensor(labels):
            return
        if not labels.is_cpu or labels.numel() != len(labels if labels.dim() else ()):
            return
        line = self._watch.lines.here()
        where = source if source >= 0 else (labels.data_ptr(), labels.numel())
        key = (line, where)
        counts = self._counts.get(key)
        if counts is None and len(self._counts) >= _MOST_KEYS:
            return
        if counts is not None and counts.sum() > _MOST_LABELS:
            return
        shown = labels.detach().reshape(-1)[:_MOST_LABELS]
        values = (shown.float() if shown.is_floating_point() else shown).numpy()  # NumPy has no bfloat16
        if values.dtype != np.int64:
            if not np.isin(values, (0, 1)).all():
                return
            values = values.astype(np.int64)
        if values.min() < 0 or values.max() >= _MOST_CLASSES:
            return
        if counts is None:
            counts = self._counts[key] = np.zeros(_MOST_CLASSES, np.int64)
            digest = digest_of(examples) if examples is not None and is_plain_tensor(examples) else ""
            self._places[key] = source, line, self._watch.step, digest
        counts += np.bincount(values, minlength=_MOST_CLASSES)
        self._fewest[key] = min(labels.numel(), self._fewest.get(key, labels.numel()))

    def save(self) -> None:
        """Write the counts."""
        for i, (key, counts) in enumerate(self._counts.items()):
            source, line, step, digest = self._places[key]
            used = int(np.flatnonzero(counts).max()) + 1
            self._watch.writer.put(
                EvaluatedLabels(source, line, step, counts[:used].tolist(), self._fewest[key], digest), i
            )
