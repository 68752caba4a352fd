"""Record of overlaps of boxes that an evaluation computes."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class BoxOverlap:
    """A line that computes where boxes overlap, as if each were given by its two corners."""

    location: Location | None
    step: int = 0
    calls: int = 1
    rows: int = 0
    """Boxes of the data, over all calls: those that no model made."""
    turned: int = 0
    """Those of them whose second corner lies left of, or above, the first one."""
    made: bool = False
    """The other boxes were computed from what a model returned."""


RECORDS[BoxOverlap.__name__] = BoxOverlap
