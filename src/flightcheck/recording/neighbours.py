"""Record of labels that an evaluation picks by the places of the largest distances."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class FarthestLabels:
    """Class labels of the examples that are farthest from others, in an evaluation."""

    operation: str
    """``topk``, ``max`` or ``argmax``: it gave the places of the largest distances, or of the smallest nearness."""
    location: Location | None
    """Its line."""
    used_location: Location | None
    """The line that picks labels by these places."""
    step: int = 0
    calls: int = 1


RECORDS[FarthestLabels.__name__] = FarthestLabels
