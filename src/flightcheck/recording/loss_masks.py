"""Record of masks by which a script chooses the positions of a loss itself."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class LossMask:
    """A line that multiplies numbers of a model with a mask over token ids, or picks some of them by it."""

    location: Location
    made: Location | None = None
    """The line whose comparison made the mask."""
    step: int = 0
    calls: int = 0
    """Calls in the learning pass in which the mask told padding and real tokens apart."""
    padding: int = 0
    """Of these, in how many it left nothing but the padding."""
    share: float = 0.0
    """Share of the positions that were padding, in the last of them."""


RECORDS[LossMask.__name__] = LossMask
