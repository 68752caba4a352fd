"""Records of random numbers whose width a model makes, and cannot make small."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class NoiseWidth:
    """A line at which normal random numbers are multiplied with the exponential of what a ReLU put out."""

    location: Location
    relu: Location | None
    """The line of the ReLU."""
    calls: int
    in_loss: bool = False
    """Something else is computed of the ReLU's output as well: a divergence."""


RECORDS[NoiseWidth.__name__] = NoiseWidth
