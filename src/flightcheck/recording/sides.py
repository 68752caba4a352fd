"""What a check that compares runs receives."""

from __future__ import annotations

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run


@frozen
class Sides:
    """Two runs, each followed by its repetitions: runs that differ from it in nothing that was recorded but seeds."""

    first: tuple[Run, ...]
    second: tuple[Run, ...]
    same: bool = False
    """The two sides are repetitions of each other, too."""
