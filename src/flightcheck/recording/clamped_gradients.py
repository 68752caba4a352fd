"""Records of gradients whose elements lie at a limit."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class ClampedGradients:
    """How much of the gradients with which an optimizer stepped lies exactly at the largest absolute value in them."""

    optimizer: int
    location: Location | None = None
    """The line that clamped them in place, where one was seen."""
    limit: float = 0.0
    """That value, at the last look."""
    shares: list[float] = field(default_factory=list)
    """At each look: the share of the elements, of those that are not zero (a sample)."""
    steps: list[int] = field(default_factory=list)


RECORDS["ClampedGradients"] = ClampedGradients
