"""Records of inputs that are windows of one series."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class WindowTable:
    """The rows of a `FeatureTable` in which the target stands are windows of one series: what stands in a row stands in
    another one, some columns further on.
    """

    root: int
    argument: str
    last_place: Location | None = None
    """The line that reads the last number of a window, where there is only one such line."""


RECORDS["WindowTable"] = WindowTable
