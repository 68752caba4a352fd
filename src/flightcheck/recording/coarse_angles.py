"""Records of angles whose sine is taken although their digits behind the point are lost."""

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
    """Angles of the calls in which the largest has such neighbours."""
    coarse: int
    """Angles with such neighbours."""
    largest: float
    spacing: float
    """Of the largest one and its neighbours, in rad."""
    halved: Location | None = None
    """The line that, last before, made numbers this type that are too large for it to hold all whole ones."""


RECORDS["CoarseAngles"] = CoarseAngles
