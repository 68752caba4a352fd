"""Record of batches that are slices of rows of one tensor."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class RowSlices:
    """The inputs of a model's training calls were slices of as many rows of one tensor, which holds more."""

    root: int
    examples: int
    """Rows of the whole tensor."""
    rows: int
    """Rows of a slice."""
    starts: int
    """Different first rows."""
    first: int
    """The lowest of these."""
    last: int
    """The highest."""
    gap: int
    """Smallest distance of two first rows."""
    calls: int
    since_new: int
    """Calls since one began at a row where none had begun."""
    location: Location | None = None
    """The line that cut the slice."""


RECORDS[RowSlices.__name__] = RowSlices
