"""Record of cross-validations whose folds share a model."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
class FoldLoop:
    """A loop over folds around the training steps of a model that was made before it, and is not made anew in it."""

    root: int
    location: Location | None
    """The loop."""


RECORDS[FoldLoop.__name__] = FoldLoop
