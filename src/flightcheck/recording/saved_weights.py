"""Records of the files into which a script saved what it trained."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class SavedWeights:
    """A file with weights that the script wrote."""

    path: str
    """Absolute."""
    step: int
    """Rounds of training that were over when it was written last."""
    saves: int = 1
    """How often it was written."""
    order: int = 0
    """Which save of the whole run the last one was, counted from 0."""
    location: Location | None = None
    """The line that wrote it last."""


RECORDS["SavedWeights"] = SavedWeights
