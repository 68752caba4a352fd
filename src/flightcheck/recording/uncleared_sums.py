"""Record of sums that go on from one pass of a loop to the next."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class UnclearedSum:
    """A number that becomes 0 before two loops, is added to in the inner one, and used in the outer one as the sum of
    one pass.
    """

    location: Location | None
    """The line that makes it 0."""
    name: str = ""
    added_location: Location | None = None
    loop_location: Location | None = None
    """The outer loop."""
    used_location: Location | None = None
    averaged: bool = False
    """It is appended to a list of which the mean is taken; otherwise divided."""


RECORDS[UnclearedSum.__name__] = UnclearedSum
