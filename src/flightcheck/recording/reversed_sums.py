"""Record of discounted sums that stand in the reverse order of their steps."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class ReversedSum:
    """A line that appends, from the last step to the first, what is summed up to there; nothing turns the list."""

    location: Location | None


RECORDS[ReversedSum.__name__] = ReversedSum
