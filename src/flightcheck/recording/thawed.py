"""Record of parameters that were thawed while no optimizer held them."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS


@frozen
class Thawed:
    """Parameters that were frozen when an optimizer began to step, want a gradient since, and belong to none.

    An optimizer of an earlier phase, which steps no more, may hold them.
    """

    optimizer: int
    """Index of the optimizer that began to step last."""
    step: int
    """The first step in which they were seen with a gradient."""
    looks: int = 0
    """Steps in which all of them were seen with a gradient that is not zero, and with the same values."""
    parameters: list[int] = field(default_factory=list)


RECORDS[Thawed.__name__] = Thawed
