"""Record of a loop that was to pick other rows in each of its rounds."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class IdleLoop:
    """The loop around a training step counts the starts of batches, and nothing in it uses the count."""

    location: Location
    variable: str
    size: str
    """The step of its ``range``, as it is written."""
    cut: Location | None = None
    """The first line in it that takes the first rows of something (``x[:size]``)."""


RECORDS[IdleLoop.__name__] = IdleLoop
