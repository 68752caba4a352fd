"""Records of averaged weights."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class WeightAverage:
    """A copy of weights that are trained, which no optimizer holds; seen by one of its matrices."""

    index: int
    location: Location | None
    """The line that made the copy; for one that shares its memory, the line that updates it."""
    zeros: bool = False
    """It began with zeros."""
    dtype: str = "float32"
    rounds: int = 0
    """Steps at which it was looked at."""
    updates: int = 0
    """Between these: times that it went the same share of the way to the weights in all elements."""
    other_changes: int = 0
    left: float = 1.0
    """Share of the values with which it began that is left."""
    weights: list[float] = field(default_factory=list)
    """Shares of the way of the latest updates."""
    gap: float | None = None
    """Steps between two updates, median."""
    first_update: int = -1
    last_update: int = -1
    stalled: float | None = None
    """In 16 bits: share of the elements that an update left as they were, although the weights are elsewhere."""
    used: str = ""
    """Its model was called: in most rounds of ``training``, in ``evaluation`` only, or not (empty)."""
    update_location: Location | None = None
    """The only line of the script that updates an average in place."""
    update_call: Location | None = None
    """The only call of the function in which that line stands."""
    idle_update: Location | None = None
    """A line of the script that is to update an average and changes a name only, or never runs."""
    rebound: bool = False
    """It changes a name only."""
    follows_nowhere: bool = False
    """Called in training, it never changed, and no other line of the script than the one that made it would change it;
    by its name it is a target."""
    unreached: Location | None = None
    """Where one is there, but behind a test that comes true after the end of its loop: that test."""
    shares_memory: bool = False
    """The average lies in the memory of the weights."""


RECORDS["WeightAverage"] = WeightAverage
