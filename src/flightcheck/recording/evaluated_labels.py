"""Record of the labels of evaluations."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class EvaluatedLabels:
    """The true classes of what one line of an evaluation compared with answers of a model, over all of the watch."""

    source: int
    """Number of the dataset (`DatasetInfo.source`) whose loader was asked before, -1 without one."""
    location: Location | None
    step: int
    """Of the first evaluation."""
    counts: list[int] = field(default_factory=list)
    """How often each class 0, 1, … was the true one."""
    fewest: int = 0
    """Labels in the smallest comparison."""
    digest: str = ""
    """Of what the model was called on (`Batch.digest`), the first time."""


RECORDS[EvaluatedLabels.__name__] = EvaluatedLabels
