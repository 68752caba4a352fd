"""Records of the models that a script keeps as its best."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class KeptState:
    """A model that is kept because it is the best so far, in a way that does not keep it."""

    index: int
    kind: str
    """``reference``: its weights are those of the model that trains on. ``direction``: the comparison prefers what the
    metric calls worse, or is never true. ``saved``: in which rounds any state was taken."""
    location: Location | None
    """The line that keeps the model, or compares."""
    load_location: Location | None = None
    """The line that loaded the state into the very model that it belongs to."""
    steps: int = 0
    """Steps of training between the two, or since it was kept."""
    module: bool = False
    """It is the model itself that is kept, not its state."""
    metric: str = ""
    best: str = ""
    higher: bool = False
    """What is kept is what has the higher metric."""
    meaning: str = ""
    """What the metric's name says: ``higher`` or ``lower`` is better, or nothing."""
    never: bool = False
    """The comparison can never be true."""
    initial: float | None = None
    values: list[float] = field(default_factory=list)
    """The metric each time that a model was kept."""
    kept_at: list[int] = field(default_factory=list)
    """Rounds at which it was."""


RECORDS["KeptState"] = KeptState
