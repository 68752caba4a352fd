"""Record of batches that are sorted by the lengths of their sequences, and of targets that are not."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SortedRows:
    """A loss between what a model made of rows in another order and a target whose rows were left as they were."""

    site: int
    location: Location | None
    """The line that puts the rows of the input into that order."""
    sort_location: Location | None
    """The line that computes the order."""
    rows: int
    calls: int = 0
    """Observed calls of the loss in which the order was another one."""
    apart: int = 0
    """Those of them in which nothing put the target, or the prediction, into the other's order."""


RECORDS[SortedRows.__name__] = SortedRows
