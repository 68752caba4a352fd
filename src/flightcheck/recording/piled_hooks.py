"""Record of hooks that one line registers again and again on the same tensor or module."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class PiledHooks:
    """Equal hooks on one parameter or module: each pass runs all of them."""

    kind: str
    """``gradient`` of a tensor; ``forward``, ``forward_pre`` or ``backward`` of a module."""
    location: Location
    """The line that registers them, or of the hook itself where that is not known."""
    returns: bool
    """The hook returns something: it changes what it is given."""
    most: int
    """The largest number on one parameter or module."""
    step: int
    """The round in which that was seen."""
    owners: list[str] = field(default_factory=list)
    """Names of the parameters or modules with more than one."""
    since: int = 0
    """The first round in which there were three."""


RECORDS[PiledHooks.__name__] = PiledHooks
