"""Records of similarities of vectors of length 1, scaled and made probabilities of."""

from __future__ import annotations

import math

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class ScaledSimilarity:
    """A line that scales cosines, which a softmax of the loss is given: how far apart can its inputs be at all?"""

    location: Location | None
    """The line of the factor."""
    product_location: Location | None
    """The line that multiplied the vectors."""
    used_location: Location | None
    """The line of the softmax, or of the loss that holds one."""
    step: int
    scale: float
    """What the cosines are multiplied with, all factors together."""
    factor: float
    """What this line multiplies them with."""
    operation: str
    """What takes the scores: ``cross_entropy``, ``log_softmax``, ``logsumexp`` or ``exp``."""
    items: int
    """Scores of one row, without those that a mask shuts out."""
    calls: int = 0
    steady: bool = True
    """The scale was the same in all calls."""


def least_loss(scale: float, items: int) -> float:
    """The cross-entropy below which no vectors come: the right score is `scale`, all others are minus that.

    Args:
        scale: what cosines, which lie between -1 and 1, are multiplied with.
        items: scores of one row.

    Returns:
        Nats.
    """
    return math.log1p((items - 1) * math.exp(-2 * scale))


RECORDS[ScaledSimilarity.__name__] = ScaledSimilarity
