"""Records of angles of half precision whose sine is taken although they have no digits for a place on the circle."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class CoarseAngles:
    """Angles of a sine or cosine, at one line, between which there are no others: neighbouring numbers of their type
    lie 1 rad apart or more.
    """

    location: Location
    dtype: str
    elements: int
    coarse: int
    """Angles with such neighbours."""
    largest: float
    spacing: float
    """Of the largest one and its neighbours, in rad."""
    halved: Location | None = None
    """The only line that makes numbers this type which are too large for it to hold all whole ones."""


RECORDS["CoarseAngles"] = CoarseAngles
