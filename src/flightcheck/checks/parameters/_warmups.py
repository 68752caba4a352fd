"""Warm-ups that are written by hand and begin anew before they are over: P05."""

from __future__ import annotations

from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.records import OptimizerInfo
from flightcheck.recording.tables import Floats

_LEAST: Final = 4
"""Steps of a rise: of fewer, two or three groups of rates that take turns look the same."""
_RISES: Final = 3
"""Complete ones, all alike."""
_STRAIGHT: Final = 1e-3
"""Of its increment: a line but for the digits of 32 bits."""
_FROM: Final = 2.0
"""Increments: a warm-up begins at zero, or one or two of its steps above."""


@frozen
class Restarts:
    """A rate that rises in a straight line from about zero, and begins anew after as many steps each time."""

    period: int
    rises: int
    highest: float


def restarts(rates: Floats) -> Restarts | None:
    """The warm-up that begins again and again in the rates of consecutive steps; None for other rates."""
    if len(rates) < _RISES * _LEAST or not np.isfinite(rates).all() or not (rates >= 0).all():
        return None
    falls = np.flatnonzero(np.diff(rates) < 0) + 1
    if len(falls) < _RISES or len({*np.diff(falls), falls[0]}) != 1 or falls[0] < _LEAST:
        return None
    period = int(falls[0])
    rises = rates[: len(falls) * period].reshape(len(falls), period).astype(np.float64)
    first, rest = rises[0], rates[len(falls) * period :]
    steps = np.diff(first)
    increment = float(steps.mean())
    straight = increment > 0 and bool((np.abs(steps - increment) <= _STRAIGHT * increment + 1e-6 * first.max()).all())
    alike = bool((rises == first).all() and (rest == first[: len(rest)]).all())
    if not straight or not alike or first[0] > _FROM * increment * (1 + _STRAIGHT):
        return None
    return Restarts(period, len(falls), float(first.max()))


def given_rate(optimizer: OptimizerInfo) -> float | None:
    """The rate that the optimizer was constructed with, if it is one for all of its groups."""
    return optimizer.given_lr if len({g.get("lr") for g in optimizer.groups}) == 1 else None
