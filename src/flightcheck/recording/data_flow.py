"""Record of which module's output reached which module."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS


@frozen
class DataFlow:
    """What the graphs of the first backward passes tell of the way of the values."""

    edges: list[list[int]] = field(default_factory=list)
    """Pairs of `ModuleInfo.index`: a value that the first returned reached the second, through operations that belong
    to no called module. Only ways that carry gradients are known; what a frozen part or ``detach`` hands on is not."""
    whole: bool = True
    """The graphs were read to their ends."""


RECORDS[DataFlow.__name__] = DataFlow
