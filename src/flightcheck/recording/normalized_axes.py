"""Records of the axes over which scores are normalized, and over which what is made of them is added up."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class NormalizedAxis:
    """A line whose softmax (or ``normalize``) is used in a product that adds up over another axis, or over one place.

    Of attention the weights of a query sum to 1 over the keys, and the product with the values adds up over the keys.
    """

    kind: str
    """``product``: scores of queries and keys, normalized over the queries. ``vectors``: both factors of a similarity
    are normalized over the batch. ``single``: a softmax over an axis with one place."""
    location: Location | None
    """The line of the normalization."""
    step: int
    shape: list[int]
    """Of what was normalized."""
    axis: int
    """Over which it was normalized."""
    added: int = -1
    """The axis over which the product adds up, as one of that shape; -1 for ``single``."""
    product_location: Location | None = None
    calls: int = 0
    """Calls that were looked at."""
    wrong: int = 0
    """Those of them in which the two axes differ, or the axis has one place."""
    module: int = -1
    """Index of the module in whose forward it was called, -1 outside of any."""


RECORDS[NormalizedAxis.__name__] = NormalizedAxis
