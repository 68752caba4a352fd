"""How the values of a layer are spread, at some steps: quantiles, from which a histogram on any grid can be drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from flightcheck.recording.signals import Signal

if TYPE_CHECKING:
    from flightcheck.recording.run import Run

QUANTILES: Final = 33
"""Per layer and step: the lowest value, the highest, and 31 between them, each 1/32 of the values apart."""

Floats = npt.NDArray[np.float32]


def packed(values: Mapping[int, Floats]) -> Floats:
    """One row of a signal of scope ``spread``: for each layer its index, then its quantiles in ascending order.

    Args:
        values: index of the parameter or module → (33,).
    """
    rows = [np.concatenate([[np.float32(index)], quantiles]) for index, quantiles in values.items()]
    return np.concatenate(rows).astype(np.float32) if rows else np.zeros(0, np.float32)


def unpacked(row: Floats) -> dict[int, Floats]:
    """Index → quantiles (33,); values that are not finite stand last, as NaN or infinity."""
    whole = len(row) // (QUANTILES + 1) * (QUANTILES + 1)
    return {int(r[0]): r[1:] for r in row[:whole].reshape(-1, QUANTILES + 1)}


def spreads(run: Run, signal: Signal) -> list[tuple[int, dict[int, Floats]]]:
    """The recorded steps of a signal, each with the quantiles of every layer that was looked at."""
    steps, rows = run.frames.get(signal.name, (np.empty(0, np.int64), []))
    return [(int(step), unpacked(row)) for step, row in zip(steps, rows)]
