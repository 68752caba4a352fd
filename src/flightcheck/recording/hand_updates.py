"""Records of updates that a script makes without an optimizer."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class HandUpdate:
    """A line that changes tensors which have a gradient, in a training without an optimizer."""

    location: Location | None
    rate: float | None = None
    """The number by which it multiplies the gradient, where that is a literal."""
    rate_location: Location | None = None
    """The line at which that number is written."""
    rounds: int = 0
    """Rounds of the learning pass in which it was seen."""


RECORDS["HandUpdate"] = HandUpdate
