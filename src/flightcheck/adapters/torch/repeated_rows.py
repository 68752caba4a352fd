"""Two fields of the data that repeat in two ways: ``a a b b c c`` beside ``a b c a b c``.

``repeat`` of PyTorch (``tile`` of NumPy) gives the whole again, ``repeat_interleave`` (``repeat`` of NumPy) each row
again; and two loops can stand in either order. Where one field repeats exactly in one way, and the rows of another are
close to each other in the other way, the rows of the two belong together in another order than they lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from flightcheck.recording.digests import Hashes

_FEWEST: Final = 32
"""Examples."""
_FEWEST_GROUPS: Final = 3
"""Different rows: two alternate in many data."""
_CLOSER: Final = 0.8
"""Of the distances the other way: rows of one class are often no closer, which is why a trial decides."""
_MOST_FEATURES: Final = 64
_MOST_PAIRS: Final = 4096

Ints = npt.NDArray[np.int64]


def turned_fields(values: Mapping[str, Any], hashes: Mapping[str, Hashes]) -> dict[str, Any]:
    """What contradicts itself in the order of the examples; empty where nothing does.

    Args:
        values: field → all its rows, an array or a list.
        hashes: field → a hash of each row.

    Returns:
        ``exact``: the field that repeats exactly; ``tiled``: as a whole, or each row again; ``groups`` of different
        rows, ``copies`` of each; ``near``: the field whose rows are close the other way; ``ratio`` of their distances
        to those of rows that the first field puts together.
    """
    for exact, rows in hashes.items():
        if len(rows) < _FEWEST:
            continue
        for tiled, groups in (repeat for repeat in (_of_each(rows), _of_all(rows)) if repeat is not None):
            for near, other in values.items():
                ratio = 1.0 if near == exact else _ratio(other, tiled, groups)
                if ratio < _CLOSER:
                    copies = len(rows) // groups
                    return {
                        "exact": exact, "tiled": tiled, "groups": groups, "copies": copies, "near": near,
                        "ratio": round(ratio, 3),
                    }  # fmt: skip
    return {}


def turned_order(tiled: bool, groups: int, copies: int) -> Ints:
    """Where each row of the field that repeats exactly is to be taken from, to repeat in the other way."""
    each = np.arange(groups * copies, dtype=np.int64)
    table = each.reshape(copies, groups) if tiled else each.reshape(groups, copies)
    return table.T.reshape(-1)


def _of_each(rows: Hashes) -> tuple[bool, int] | None:
    """Each row several times: the number of groups, where all have the same size."""
    begins = np.flatnonzero(rows[1:] != rows[:-1]) + 1
    copies = int(np.gcd.reduce(np.append(begins, len(rows))))
    groups = len(rows) // copies
    known = copies > 1 and groups >= _FEWEST_GROUPS and len(np.unique(rows[::copies])) >= _FEWEST_GROUPS
    return (False, groups) if known else None


def _of_all(rows: Hashes) -> tuple[bool, int] | None:
    """The whole several times: the length of the shortest part that is repeated."""
    again = np.flatnonzero(rows == rows[0])
    for period in again[1:].tolist():
        if period >= _FEWEST_GROUPS and len(rows) % period == 0:
            parts = rows.reshape(-1, period)
            if (parts == parts[0]).all():
                return (True, period) if len(np.unique(parts[0])) >= _FEWEST_GROUPS else None
    return None


def _ratio(values: Any, tiled: bool, groups: int) -> float:
    """How far apart rows are that would be together if the exact field were turned, over those that are together now.

    Those are a period of `groups` apart where the whole is repeated, and side by side in blocks where each row is. 1
    where the values tell nothing.
    """
    rows = _features(values)
    if rows is None:
        return 1.0
    block = len(rows) // groups
    beside = _apart(rows, np.flatnonzero(np.arange(len(rows) - 1) % block != block - 1), 1)
    over = _apart(rows, np.arange(len(rows) - groups), groups)
    near, now = (beside, over) if tiled else (over, beside)
    return near / now if now > 0 else 1.0


def _apart(rows: npt.NDArray[Any], at: Ints, lag: int) -> float:
    """Mean distance of rows; of whole numbers, which may be ids, the share that differs."""
    if len(at) > _MOST_PAIRS:
        at = at[np.linspace(0, len(at) - 1, _MOST_PAIRS).astype(np.int64)]
    one, other = rows[at], rows[at + lag]
    return float((one != other).mean() if rows.dtype.kind != "f" else np.abs(one - other).mean())


def _features(values: Any) -> npt.NDArray[Any] | None:
    """Some columns of each row, floating-point ones on one scale."""
    if isinstance(values, list) or values.dtype.kind not in "iubf" or not values.size:
        return None
    rows: npt.NDArray[Any] = values.reshape(len(values), -1)
    if rows.shape[1] > _MOST_FEATURES:
        rows = rows[:, np.linspace(0, rows.shape[1] - 1, _MOST_FEATURES).astype(np.int64)]
    if rows.dtype.kind != "f":
        return rows
    rows = rows.astype(np.float64)
    spread = rows.std(0) if np.isfinite(rows).all() else np.zeros(1)
    return rows[:, spread > 0] / spread[spread > 0] if (spread > 0).any() else None
