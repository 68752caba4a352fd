"""Records of targets that hold the value of a next state, and of flags that tell that there is none."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@frozen
class UnendedTarget:
    """A loss whose target is a number plus a discounted value of a next state, for all rows alike."""

    site: int
    location: Location | None
    """The line of the discount."""
    step: int
    calls: int
    """Calls of the loss with such a target."""
    masked: int
    """Those in which something else than a number acted on the value: a mask, a choice of rows."""
    flag_location: Location | None = None
    """The line that fetched a flag per row, which is in no part of the target."""
    flag_place: int = 0
    """The how manyth tensor of that line it is, from 0."""
    end_value: int = 1
    """The rarer of its two values, which means an end: 1, or 0 of a flag that tells what goes on."""
    rows: int = 0
    ends: int = 0
    """Different states of the rows in which the flag has that value."""
    chance: float = 1.0
    """The largest probability that a flag which has nothing to do with the next states parts them as this one does."""


@frozen
class ValueTarget:
    """A loss whose target is a number plus a value of a next state, which something discounts or ends."""

    site: int
    calls: int


def chance_of(states: Floats, ends: Bools) -> tuple[float, int]:
    """How likely rows drawn blindly would lie outside of the range of all others, each in some feature, as ends do.

    A pole that fell is steeper than any that stands. Rows are counted once, as often as a memory may give them.

    Args:
        states: (rows, features).
        ends: (rows,).

    Returns:
        A bound of the probability, 1 where an end lies among the others; and how many different ends there are.
    """
    if any(np.array_equal(feature != 0, wanted) for feature in states.T for wanted in (ends, ~ends)):
        return 1.0, 0  # a feature of the state itself, such as whether a key was found
    known, first = np.unique(states, axis=0, return_index=True)
    is_end = ends[first]
    rows, features = known.shape
    count = int(is_end.sum())
    if not 0 < count < rows:
        return 1.0, count
    others = known[~is_end]
    outside = ((known[is_end] > others.max(0)) | (known[is_end] < others.min(0))).any(1)
    if not outside.all():
        return 1.0, count
    # Sets of so many rows that can be taken off one by one, each the first or the last in one feature, among all sets
    sets = math.lgamma(rows + 1) - math.lgamma(count + 1) - math.lgamma(rows - count + 1)
    return math.exp(min(0.0, count * math.log(2 * features) - sets)), count


RECORDS.update({cls.__name__: cls for cls in (UnendedTarget, ValueTarget)})
