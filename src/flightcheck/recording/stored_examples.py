"""Record of examples that a dataset holds, and that change while it is read."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class StoredExamples:
    """An array of a dataset with one row per example, some rows of which were copied when a loader first opened it."""

    source: int
    """Number of the dataset (`DatasetInfo.source`)."""
    field: str
    """The dataset's attribute."""
    rows: int
    """Rows that were copied, evenly spaced."""
    changed: int = 0
    """Of these, how many hold other numbers now."""
    step: int = 0
    """Training step at which that was first seen."""
    before: float = 0.0
    """Standard deviation of the copied rows."""
    after: float = 0.0
    """The same of these rows now."""
    location: Location | None = None
    """The line of the dataset that writes into an example which it took out of itself."""


RECORDS[StoredExamples.__name__] = StoredExamples
