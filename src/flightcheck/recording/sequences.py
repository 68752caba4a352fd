"""Records of padded sequences in recurrent layers."""

from __future__ import annotations

from dataclasses import dataclass

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class PaddedRead:
    """A line that reads the last output of a recurrent layer where sequences of different lengths were filled up."""

    kind: str
    """``packed``: of ``pad_packed_sequence``, whose outputs behind the end of a sequence are no outputs; ``padded``: of
    a layer that went through the padding, the last output; ``state``: its last hidden state."""
    step: int
    location: Location | None
    rows: int
    short: int
    """Sequences that end before the last position."""
    length: int
    """Positions in all."""
    mean_length: float
    """Of the sequences themselves."""
    count: int = 1


RECORDS["PaddedRead"] = PaddedRead
