"""Records of statements that leave a loop around the training step."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class LoopEnd:
    """A ``break`` or ``return`` by which such a loop ends before its rounds are over."""

    kind: str
    """``at-once``: in its first round, whatever happens. ``early``: when a count of rounds without progress is full.
    ``inside-out``: none leaves; a loop over epochs lies inside of `location`, the only other loop around the step."""
    location: Location | None
    loop: Location | None
    word: str = "break"
    rounds: int | None = None
    """How often the loop would go round, where the source says so."""


RECORDS["LoopEnd"] = LoopEnd
