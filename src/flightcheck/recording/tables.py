"""Signals as a check reads them: numbers over the sampled steps."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
