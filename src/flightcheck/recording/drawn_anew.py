"""Records of weights that a training draws again after it has trained them, or exchanges for untrained ones."""

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


@frozen
class ThrownBack:
    """A line that gives a model in training the weights of another one, the same each time."""

    index: int
    location: Location | None
    rounds: list[int] = field(default_factory=list)
    """Steps that were made when it ran."""
    parameters: list[int] = field(default_factory=list)
    """Trained parameters of the model that is given the weights."""
    source: int = 0
    """Index of the root that gives them."""
    calls_between: int = 0
    """Calls of that one between the first and the last of these rounds."""


RECORDS.update({c.__name__: c for c in (DrawnAnew, ThrownBack)})
