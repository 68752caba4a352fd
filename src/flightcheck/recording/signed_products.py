"""Record of losses of signs, written by hand: what they are of a product with labels of 0 and 1."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SignedProduct:
    """A line that multiplies scores with zeros and ones, for a loss that is made for the signs -1 and 1."""

    loss: str
    """``logistic`` (log-sigmoid, softplus, log(1 + exp)) or ``hinge``."""
    location: Location
    step: int = 0
    calls: int = 0
    zeros: int = 0
    ones: int = 0


RECORDS[SignedProduct.__name__] = SignedProduct
