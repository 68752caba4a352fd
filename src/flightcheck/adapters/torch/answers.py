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
        if not (isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor)):
            return
        if one.dtype is torch.int64 and other.dtype is torch.int64 and one.shape == other.shape and one.dim() == 1:
            self._count(one, other)

    def decided(self, decision: Any, labels: Any) -> None:
        """What a threshold made of one number for each example was compared with labels: both hold 0 and 1."""
        if not (isinstance(decision, torch.Tensor) and isinstance(labels, torch.Tensor)):
            return
        if decision.dtype is torch.int64 and labels.dtype is torch.int64:
            return  # counted already
        if decision.shape != labels.shape or decision.dim() > 2 or decision.shape[1:] not in ((), (1,)):
            return
        if all(is_plain_tensor(t) and bool(((t == 0) | (t == 1)).all()) for t in (decision, labels)):
            self._count(*(t.detach().reshape(-1).to(torch.int64) for t in (decision, labels)))

    def _count(self, one: torch.Tensor, other: torch.Tensor) -> None:
        if self._phases >= _MOST_PHASES or one.numel() < 2 or not (is_plain_tensor(one) and is_plain_tensor(other)):
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
