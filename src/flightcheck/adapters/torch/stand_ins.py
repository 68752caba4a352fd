"""Numbers that stand for a value that is missing: -200 in a table of temperatures, 999 among ages."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

_ROWS: Final = 100
"""Of a table, at least."""
_TIMES: Final = 5
"""That the number occurs, at least, and in one of `_RARE` rows."""
_RARE: Final = 500
_MOST: Final = 0.2
"""Share of the rows: what more of them have is a kind of rows, and no exception."""
_OTHERS: Final = 10
"""Different other values: fewer are classes or levels, of which one may lie apart."""
_MOST_COLUMNS: Final = 1024


def stand_ins(values: Any) -> list[list[float]]:
    """Columns of a table whose lowest or highest value occurs again and again, farther from all others than these lie
    from each other.

    Args:
        values: all rows, of shape ``(examples, features)`` or ``(examples, time, features)`` and a floating-point
            type; of anything else nothing is told.

    Returns:
        One list for each: the column, the value, how often it occurs, and mean, lowest and highest of the others.
    """
    if not isinstance(values, np.ndarray) or values.ndim not in (2, 3) or values.dtype.kind != "f" or not values.size:
        return []
    values = values.reshape(-1, values.shape[-1])
    if len(values) < _ROWS or values.shape[1] > _MOST_COLUMNS:
        return []
    found = []
    with np.errstate(invalid="ignore"):
        lowest, highest = values.min(0), values.max(0)
    for value in (lowest, highest):
        times = (values == value).sum(0)
        often = (times >= max(_TIMES, len(values) // _RARE)) & (times <= _MOST * len(values))
        found += [
            told for column in np.flatnonzero(often) if (told := _of(values[:, column], value[column], int(column)))
        ]
    return found


def _of(column: npt.NDArray[Any], value: float, index: int) -> list[float]:
    others = column[column != value]
    low, high = float(others.min()), float(others.max())
    gap = low - value if value < low else value - high
    if not np.isfinite([low, high, value]).all() or gap <= high - low or len(np.unique(others)) < _OTHERS:
        return []
    return [float(index), float(value), float(len(column) - len(others)), float(others.mean()), low, high]
