"""Records of pairs that a loss compares although both halves are one and the same embedding."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SamePairs:
    """A line that compares pairs of embeddings: are the two of each pair equal, number by number?"""

    location: Location | None
    """The line that compares them."""
    made_location: Location | None
    """The line that calls the model for the second one; that of the only call, where both halves are in one batch."""
    origin: Location | None
    """Where the values that the model was given were computed."""
    step: int
    operation: str
    """What compares them: ``cross_entropy``, ``mse_loss``, ``diagonal`` …"""
    rows: int
    """Pairs in one call."""
    itself: bool
    """Each is compared with itself: the two sides are one tensor, of one call of the model."""
    calls: int = 0
    """Calls of the line in the learning pass that were part of a loss."""
    equal: int = 0
    """Those in which all pairs were equal."""


RECORDS[SamePairs.__name__] = SamePairs
