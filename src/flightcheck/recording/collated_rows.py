"""Record of collate functions that sort one part of the examples of a batch, and leave another in the old order."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class CollatedRows:
    """A loss whose target is the part of the examples that a collate function left in the order of the loader."""

    site: int
    """Index of the loss."""
    location: Location | None = None
    """The line of the collate function that sorts, else its first."""
    function: str = ""
    """Its name."""
    rows: int = 0
    """Of the last batch."""
    calls: int = 0
    """Calls of the loss with such a target in which the examples of the batch came in another order than by length,
    and another order changes the target."""
    apart: int = 0
    """Of these, those in which the sequences of these examples came sorted by length, an operation was given them, and
    nothing in the batch tells the order."""


RECORDS[CollatedRows.__name__] = CollatedRows
