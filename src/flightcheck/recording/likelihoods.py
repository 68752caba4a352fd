"""Records of likelihoods written by hand whose probabilities are none."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class Likelihood:
    """A line that takes for probabilities what no softmax made.

    It cuts it to 0…1 before its logarithm is taken, or picks from it that of the true class.
    """

    location: Location
    activation: str
    """What made it: the name of the node of the graph, ``SigmoidBackward0``."""
    picked: bool
    """One number of each row was picked by a class; else all were cut."""
    calls: int
    classes: int
    """Numbers in a row."""
    rest: bool = False
    """One minus it is computed, too: each output is a yes or no."""
    made_at: Location | None = None
    """The line of the activation."""


RECORDS[Likelihood.__name__] = Likelihood
