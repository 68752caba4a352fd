"""Predicted against true classes, where an evaluation compares the two."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.evaluated_labels import LabelsOfEvaluations
from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.inputs import Confusion

_MOST_CLASSES: Final = 100
_MOST_ANSWERS: Final = 8192
"""Answers counted in one evaluation phase."""
_MOST_PHASES: Final = 64


class Answers:
    """Counts predictions per class of one evaluation phase after the other."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._counts: npt.NDArray[np.int64] | None = None
        self._phases = 0
        self.labels = LabelsOfEvaluations(watch)

    def scored(self, scores: torch.Tensor, target: torch.Tensor) -> None:
        """A classification loss was computed without gradients."""
        if scores.dim() == 2 and target.dim() == 1 and is_plain_tensor(scores):
            self.compared(scores.detach().argmax(1), target)

    def compared(self, one: Any, other: Any) -> None:
        """Two tensors were compared: a row of predicted classes and one of true ones, if they look so.

        Which is which is unknown, and makes no difference: a relabelling in one direction is one in the other.
        """
        if self._phases >= _MOST_PHASES or not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
            return
        if one.dtype is not torch.int64 or other.dtype is not torch.int64 or one.shape != other.shape:
            return
        if one.dim() != 1 or one.numel() < 2 or not (is_plain_tensor(one) and is_plain_tensor(other)):
            return
        if self._counts is not None and self._counts.sum() > _MOST_ANSWERS:
            return
        a, b = (t.detach()[:_MOST_ANSWERS].to("cpu").numpy() for t in (one, other))
        low, high = int(min(a.min(), b.min())), int(max(a.max(), b.max()))
        if low < 0 or high >= _MOST_CLASSES:
            return
        if self._counts is None:
            self._counts = np.zeros((_MOST_CLASSES, _MOST_CLASSES), np.int64)
        np.add.at(self._counts, (b, a), 1)

    def end_phase(self) -> None:
        """The evaluation is over."""
        counts, self._counts = self._counts, None
        if counts is None:
            return
        self._phases += 1
        used = int(np.flatnonzero(counts.sum(0) + counts.sum(1)).max()) + 1
        self.watch.writer.append(Confusion(self.watch.step, counts[:used, :used].tolist()))
