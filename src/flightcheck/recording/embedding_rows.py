"""Record of the rows of embeddings that were looked up."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class EmbeddingRows:
    """The look-ups in one embedding, in the learning pass."""

    parameter: int
    """Index of its weight."""
    location: Location | None
    """The line that looks them up."""
    origin: Location | None = None
    """The line that computed the numbers which are looked up, if it was found."""
    rows: int = 0
    read: list[int] = field(default_factory=list)
    """The rows that were read; as many as are kept, where they are many."""
    calls: int = 0
    numbers: int = 0
    """Numbers that were looked up in all calls."""
    step: int = 0


MOST_READ = 8
"""Rows that are kept: an embedding of which more were read is in use."""
RECORDS[EmbeddingRows.__name__] = EmbeddingRows
