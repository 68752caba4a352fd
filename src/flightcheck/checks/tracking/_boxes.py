"""Overlaps of boxes that are not given by their corners."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.box_overlaps import BoxOverlap
from flightcheck.recording.run import Run

_TURNED: Final = 0.25
"""Share of the data's boxes: some of a data set may be wrong; given by centre and size, most that lie right of or below
their own size are turned round."""
_ROWS: Final = 16


def overlaps_of_no_corners(run: Run) -> Iterator[Finding]:
    """Lines that take four columns of the data for two corners, where the second one lies left of the first."""
    for found in run.recorded(BoxOverlap):
        if found.rows < _ROWS or found.turned < _TURNED * found.rows:
            continue
        beside = ", beside boxes that are made of the model's output" if found.made else ""
        yield Finding(
            f"The overlap of boxes is computed from two corners each{beside}, but of {found.turned} of {found.rows} "
            "true boxes the right edge would lie left of the left one, or the lower above the upper: these are not "
            "corners (centre and size, perhaps), and the overlap is none.",
            location=found.location,
            evidence={"boxes": found.rows, "turned": found.turned},
            onset_step=found.step,
            fix="Bring both to corners before they are compared: torch.cat([c - size / 2, c + size / 2], -1).",
        )
