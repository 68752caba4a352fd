"""Records of transitions in which the next state is the state itself."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class StoredTransitions:
    """A loss whose target holds the value of a next state, beside the states whose value is predicted."""

    site: int
    step: int
    calls: int
    rows: int
    """Rows that were compared: those in which the target is more than the reward alone."""
    equal: int
    """Of these, in how many the next state has the numbers of the state."""
    acting: int = 0
    """Single observations that a model was given one after the other."""
    still: int = 0
    """Of these, how many have the numbers of the one before."""
    single: int = 0
    """Calls in which the next states of all rows are one and the same."""
    moved: int = 0
    """Of these, in how many it is another one than in the call before."""
    returned: list[Location] = field(default_factory=list)
    """Lines that return an array which the same object or function changes in place."""


RECORDS[StoredTransitions.__name__] = StoredTransitions
