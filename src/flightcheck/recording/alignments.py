"""Records of how maps that are to be predicted lie over the images that they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field

from flightcheck.recording.records import RECORDS, Location


@dataclass(frozen=True)
class MapAlignment:
    """Targets as large as the input (masks, maps), compared with it as they are and turned over."""

    site: int
    """Index of the loss."""
    location: Location | None = None
    """The line that turns images over, where there is only one; else that of the loss."""
    examples: int = 0
    aligned: int = 0
    """Of these, those whose target fits the image as it is, and turned over far worse."""
    moved: dict[str, int] = field(default_factory=dict)
    """Those whose target fits the image after it was turned over, by how, and as it is far worse."""


RECORDS["MapAlignment"] = MapAlignment
