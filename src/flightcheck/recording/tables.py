"""Signals as a check reads them: numbers over the sampled steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def median(values: npt.ArrayLike) -> float:
    """The middle value of all elements, NaN if one is NaN or there is none: as `numpy.median`, which imports masked
    arrays for it (a twentieth of what ``flightcheck show`` needs).
    """
    x = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    if not len(x) or np.isnan(x[-1]):
        return float("nan")
    return float((x[(len(x) - 1) // 2] + x[len(x) // 2]) / 2)


def quantiles(values: npt.ArrayLike, levels: npt.ArrayLike) -> Floats:
    """The values at these levels (0 to 1) of all elements, linear between two: as `numpy.quantile`, and as `median`."""
    x = np.sort(np.asarray(values, dtype=np.float64), axis=None)
    found: Floats = np.interp(np.asarray(levels) * (len(x) - 1), np.arange(len(x)), x)
    return found


@frozen
class Series:
    """A signal of scope ``step`` over the sampled steps: ``steps`` (n,) and ``values`` (n,)."""

    steps: Ints
    values: Floats

    def __len__(self) -> int:
        return len(self.steps)


@frozen
class Table:
    """A signal with one column per optimizer, parameter or module: ``steps`` (n,), ``values`` (n, columns).

    Elements that were not recorded in a step are NaN in ``values`` and False in ``recorded``; elements that
    were recorded as "not there" hold `flightcheck.recording.signals.NOT_THERE`.
    """

    steps: Ints
    values: Floats
    recorded: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.steps)

    def column(self, index: int) -> Series:
        """The steps and values at which element `index` was there."""
        if index >= self.values.shape[1]:
            return Series(np.empty(0, np.int64), np.empty(0))
        column = self.values[:, index]
        there = self.recorded[:, index] & ~(column == -1.0)
        return Series(self.steps[there], column[there])
