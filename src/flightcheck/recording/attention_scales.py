"""Record of how far apart the scores of an attention are before anything was learned."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class AttentionScale:
    """A softmax over scores that are products of two activations (queries and keys), in the first training step."""

    location: Location | None
    """The softmax."""
    factor_location: Location | None
    """The line of the largest constant factor, None without one."""
    product_location: Location | None
    width: int
    """Elements of a query: products of independent ones grow with its root."""
    keys: int
    """Scores in a row."""
    factor: float
    """Product of the constants that queries, keys and scores are multiplied with (or divided by)."""
    spread: float
    """Median over the rows of the standard deviation of their scores as the softmax gets them, without those that a
    mask shuts out."""
    module: int = -1


RECORDS[AttentionScale.__name__] = AttentionScale
