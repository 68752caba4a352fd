"""Records of losses that are computed in every round and never handed to backward."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class DroppedLoss:
    """A line that computes several losses in each round of training, of which the last alone enters a backward."""

    site: int
    location: Location | None
    name: str
    """The name that a loop assigns each of them to."""
    step: int
    calls: int = 0
    """Losses of the last round that was looked at."""
    rounds: int = 0
    """Rounds that were looked at."""
    dropped: int = 0
    """Those of them in which there were several losses, of unlike targets, and only the last one was used."""


RECORDS[DroppedLoss.__name__] = DroppedLoss
