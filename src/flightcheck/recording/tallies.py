"""Records of what an evaluation counted: answers that were right, and out of how many."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Tally:
    """The truth values that one line added up, or averaged, in one evaluation phase on one data set."""

    step: int
    location: Location | None
    """The line that adds them up."""
    source: int = -1
    """Number of the dataset (`DatasetInfo.source`) that the model was evaluated on, -1 for others."""
    true: list[int] = field(default_factory=list)
    """How many were true, by call of the line."""
    counted: list[int] = field(default_factory=list)
    """Out of how many, by call of the line."""
    calls: int = 0
    """Calls of models in the phase, on that data set."""
    rows: int = 0
    """Examples that these were given."""
    last_rows: int = 0
    """Examples of the last one of them."""
    equal: bool = False
    """Each of them says that two tensors are equal there (``==``)."""
    division: Location | None = None
    """The line that divides what was added up, where the source tells."""
    numerator: str = ""
    """The name under which it was added up."""
    divisor: str = ""
    """The expression by which it is divided."""
    divisor_location: Location | None = None
    """The line of that expression: of the division, or of the call that gives it."""


RECORDS[Tally.__name__] = Tally
