"""Record of targets that are random numbers and nothing else."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class FreshTarget:
    """A loss whose target was, in the learning pass, random numbers that nothing but this loss was given."""

    site: int
    """Index of the loss."""
    location: Location | None = None
    """The line that drew the target last."""
    calls: int = 0
    """Calls of the loss in the learning pass."""
    fresh: int = 0
    """Of these, those whose target was drawn in the same round and used nowhere else."""
    other: Location | None = None
    """The only other line that drew numbers of the target's shape in these rounds, where there is just one."""


RECORDS[FreshTarget.__name__] = FreshTarget
