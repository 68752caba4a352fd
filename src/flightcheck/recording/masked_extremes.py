"""Record of minima and maxima over values of which a mask made zeros."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class MaskedExtreme:
    """A line that takes a minimum or maximum over values that were multiplied by a mask of zeros and ones."""

    operation: str
    """``min`` or ``max``."""
    location: Location
    masked: Location | None
    """The line of the product."""
    step: int = 0
    calls: int = 0
    rows: int = 0
    """Rows with values of both kinds: the mask left some, and made zeros of others."""
    lost: int = 0
    """Those of them whose extreme is one of these zeros, and no value that the mask left."""


RECORDS[MaskedExtreme.__name__] = MaskedExtreme
