"""Records of weights that a training draws again after it has trained them."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class DrawnAnew:
    """A line that initializes parameters which an optimizer has stepped on before."""

    index: int
    location: Location | None
    rounds: list[int] = field(default_factory=list)
    """Steps that were made when it ran, each once."""
    parameters: list[int] = field(default_factory=list)
    as_drawn: list[int] = field(default_factory=list)
    """Those that held what was drawn last, to the end: frozen, or in no optimizer any more."""
    calls_since: int = 0
    """Training calls of the models that hold them, since."""


RECORDS["DrawnAnew"] = DrawnAnew
