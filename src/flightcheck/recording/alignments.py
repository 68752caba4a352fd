"""Records of how maps and coordinates that are to be predicted lie over the images that they belong to."""

from __future__ import annotations

from dataclasses import field

from flightcheck.frozen import frozen
from flightcheck.recording.records import RECORDS, Location


@frozen
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


@frozen
class PointAlignment:
    """Targets of a few numbers, of which one follows the place of what stands out in the image."""

    site: int
    """Index of the loss."""
    location: Location | None
    """The line that turns images over, where there is only one; else that of the loss."""
    turn: str
    """``left to right`` or ``upside down``: along which axis."""
    column: int
    """Of the target: the coordinate along that axis."""
    examples: int
    aligned: int
    """Of these, those whose coordinate lies on the same side as that of most examples, seen from their images."""
    mirrored: int
    """Those whose coordinate lies on the other side, as far from the middle."""
    turning: bool = False
    """Lines of the user's files turn images over."""


RECORDS["PointAlignment"] = PointAlignment
RECORDS["MapAlignment"] = MapAlignment
