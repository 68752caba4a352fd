"""Data that vary by less than the noise that is added to them, at nearly all of its levels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Finding
from flightcheck.recording.noising import NoisedData
from flightcheck.recording.run import Run

_CALLS: Final = 3
_EXAMPLES: Final = 64
_LEVELS: Final = 5.0
"""Times the lowest noise level of those seen that the highest is, at least: one level for all is another method."""
_NEARLY_ALL: Final = 0.02
"""Of the examples may have less noise: of unit data half to two thirds do in the schedules of DDPM, iDDPM and EDM."""
_MIDDLE: Final = 0.05
"""Of the middle noise level: unit data have half of it or more, pixels in [0, 1] about a fifth. Ours."""


def under_noise(run: Run) -> Iterator[Finding]:
    """Lines that add noise to data which it hides."""
    for found in run.recorded(NoisedData):
        if found.calls < _CALLS or len(found.data) < _EXAMPLES or found.spread is None:
            continue
        data, noise = np.array(found.data), np.array(found.noise)
        if not (data > 0).all() or not (noise > 0).all():
            continue
        levels = noise / data
        least = float(np.quantile(levels, _NEARLY_ALL))
        middle = float(np.median(levels))
        if levels.max() < _LEVELS * levels.min() or found.spread >= min(least, _MIDDLE * middle):
            continue
        yield Finding(
            f"Noise is added to data that vary by {found.spread:.2g} at the most (standard deviation of the feature "
            f"that varies most). In {1 - _NEARLY_ALL:.0%} of the examples the noise is larger, in the middle one it is "
            f"{middle:.2g}: hardly anything of the data can be told from it.",
            location=found.location,
            evidence={"spread": found.spread, "least_noise": least, "calls": found.calls},
            fix="Standardize the data before noise is added, (x - mean) / std with one deviation for all pixels of an "
            "image, and scale the samples back.",
        )
