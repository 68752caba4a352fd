"""Record of softmaxes between layers."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class HiddenSoftmax:
    """A line whose softmax over features goes straight into a linear layer with a bias."""

    location: Location | None
    features: int
    calls: int = 0
    layers: int = 0
    """Different layers that were given results of it, each softmax counted for the first one alone."""
    module: int = -1
    """Index of the module that is this softmax, -1 for a function."""


RECORDS[HiddenSoftmax.__name__] = HiddenSoftmax
