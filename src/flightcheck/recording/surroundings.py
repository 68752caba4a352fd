"""Records of what a training costs and where it ran."""

from __future__ import annotations

from dataclasses import dataclass

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class Resources:
    """What the rounds of a training waited for, and what they left behind."""

    graphs: int = 0
    """Losses on which backward was called and whose graphs were followed."""
    graphs_kept: int = 0
    """The most of them that were still held by the script at one time, those of the last rounds left out."""
    graphs_kept_location: Location | None = None
    """The line that holds them, or the line of the backward."""
    batches: int = 0
    """Batches taken from DataLoaders, the first left out."""
    batch_seconds: float = 0.0
    """Time spent waiting for them."""
    seconds: float = 0.0
    """Time from the first to the last of them, without that of our own code."""


RECORDS.update({c.__name__: c for c in (Resources,)})
