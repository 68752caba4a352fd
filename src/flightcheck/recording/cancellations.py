"""Records of differences whose digits were lost before they were taken."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Cancellation:
    """Differences, at one line, of float32 numbers that lie about as far apart as neighbouring float32 numbers do."""

    location: Location
    """The line that converted the numbers; that of the difference where it is not known."""
    difference: Location
    elements: int
    coarse: int
    """Differences of calls in which the spacing of the numbers is more than a tenth of the differences' spread."""
    odd: float
    """Share of odd multiples of the spacing among the numbers: a half after rounding."""
    spacing: float
    spread: float
    largest: float
    converted: bool = True
    """The line of the conversion is known."""


RECORDS["Cancellation"] = Cancellation
