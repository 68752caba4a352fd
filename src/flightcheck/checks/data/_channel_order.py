"""Images whose channels stand in one order in training and in the other one in evaluation: RGB and BGR."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch

_BATCHES: Final = 8
"""Training batches, between which the contrast varies by chance."""
_IMAGES: Final = 64
_OTHER: Final = 5.0
"""Standard errors between the contrasts as they are: of the same images, one sample in two million lies so far …"""
_TURNED: Final = 3.0
"""… and with the first and the last channel exchanged they agree."""


@frozen
class TurnedChannels:
    """The contrast of correlations between channels (`Batch.colour_contrast`) of both sides."""

    training: float
    evaluation: float
    apart: float
    """Standard errors between the two."""


def turned_channels(training: list[Batch], held_out: list[Batch]) -> TurnedChannels | None:
    """The contrast, where it has the other sign and the same size in evaluation; None elsewhere."""
    one, other = (_different([b for b in side if b.colour_contrast is not None]) for side in (training, held_out))
    images = [sum(b.shape[0] for b in side) for side in (one, other)]
    if len(one) < _BATCHES or images[1] < _IMAGES:
        return None
    here = np.array([b.colour_contrast for b in one], dtype=float)
    there = np.array([b.colour_contrast for b in other], dtype=float)
    mean, weights = float(here.mean()), np.array([b.shape[0] for b in other])
    turned = float((there * weights).sum() / weights.sum())
    per_image = float(here.var(ddof=1)) * images[0] / len(one)
    error = math.sqrt(per_image * (1 / images[0] + 1 / images[1]))
    if not error > 0 or abs(turned + mean) > _TURNED * error or abs(turned - mean) < _OTHER * error:
        return None
    return TurnedChannels(mean, turned, abs(turned - mean) / error)


def _different(batches: list[Batch]) -> list[Batch]:
    """Batches most of whose images stood in none before: what comes again adds no evidence."""
    seen: set[int] = set()
    found = []
    for b in batches:
        if 2 * len(seen.intersection(b.rows)) <= len(b.rows):
            found.append(b)
        seen.update(b.rows)
    return found
