"""Record of losses that are multiplied by weights which are trained with them."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class LearnedWeights:
    """A line that multiplies losses by numbers that parameters alone make, and the same loss trains."""

    location: Location
    quotient: bool
    """It divides them by these numbers."""
    argument: int
    """Which factor they are."""
    parameters: list[int]
    step: int = 0
    backwards: int = 0
    held: int = 0
    """Backward passes, of this loss or another one, in which another term is made of these parameters, too."""
    values: list[list[float]] = field(default_factory=list)
    """The numbers in each of these passes, the first ones."""
    rest: list[float] = field(default_factory=list)
    """What the loss held beside the products in each of these passes, where all its other terms with a gradient are
    made of such parameters alone; terms without one are in it."""


RECORDS[LearnedWeights.__name__] = LearnedWeights
