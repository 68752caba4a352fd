"""Record of a random generator that is set back to one and the same seed while the training goes on."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Reseeding:
    """A line that gives a generator the same seed in many training steps."""

    generator: str
    """``python``, ``numpy`` or ``torch``."""
    value: int
    """The seed."""
    location: Location | None = None
    calls: int = 0
    """Calls between the first training step and the last one."""
    steps: int = 0
    """Training steps with such a call."""
    drawn: int = 0
    """Of the steps after the first one, those in which numbers had been drawn since the call before."""


RECORDS[Reseeding.__name__] = Reseeding
