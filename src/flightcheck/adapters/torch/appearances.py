"""Token ids that were given in the order in which the tokens first appear in the very texts that hold them."""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.watch import Watch, is_plain_tensor
from flightcheck.recording.batches import IdsByAppearance
from flightcheck.recording.records import Location

_SPECIAL: Final = 6
"""Ids before the first word's at most: padding, unknown, begin, end …"""
_FEWEST: Final = 24
"""Distinct ids: so many are in an order by chance once in 24! cases."""
_IN_ORDER: Final = 0.95
"""Share of the ids that stand in one ascending order: texts that are cut at a length lack some words' first places."""
_COLUMNS: Final = 3
"""Rows of fewer numbers are pairs, not texts."""
_MOST: Final = 1_000_000
"""Numbers that are put in order: a tenth of a second, once for a data set."""
_LARGEST: Final = 50_000
_MOST_FOUND: Final = 8
_LOOKED_AT: Final = 16

Ints = npt.NDArray[Any]


@dataclass(frozen=True)
class Appearance:
    """Ids from `first` on are numbers of appearance."""

    first: int
    distinct: int
    row: str
    """Digests of the first row, the first 2, 4, 8 and 16, as far as there are so many, without the ids before `first`:
    tells whether two sets begin with the same texts (see `flightcheck.recording.batches.begin_alike`). A ``-`` stands
    for rows without a word twice: they are 3 4 5 6 in every vocabulary.
    """


class EvaluatedIds:
    """Looks at the ids of evaluations; writes those that are numbered by appearance."""

    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        self._found: dict[tuple[int, str], IdsByAppearance] = {}
        """By model and first row."""

    def fed(self, root: int, tensor: torch.Tensor, location: Location | None) -> None:
        """A call of a root in an evaluation; the line that made the ids."""
        if tensor.dtype not in (torch.int32, torch.int64) or tensor.dim() != 2 or not is_plain_tensor(tensor):
            return
        if len(self._found) >= _MOST_FOUND or tensor.numel() > _MOST:
            return
        found = by_appearance(tensor.detach().cpu().numpy())
        if found is not None and (root, found.row) not in self._found:
            self._found[root, found.row] = IdsByAppearance(
                root, self.watch.step, found.first, found.distinct, found.row, location
            )

    def save(self) -> None:
        """Write what was found."""
        for i, found in enumerate(self._found.values()):
            self.watch.writer.put(found, i)


@dataclass(frozen=True)
class Ids:
    """Whole numbers of a table or a list of rows."""

    all: Ints
    """One row behind the other."""
    head: list[Ints]
    """The first rows."""

    @classmethod
    def of(cls, values: Any) -> Ids | None:
        """Those of ``(examples, length)`` numbers, or of a list of rows; None for other data, and for rows that all
        rise, as positions do.
        """
        if isinstance(values, np.ndarray):
            usual = values.ndim == 2 and values.dtype.kind in "iu" and values.shape[1] > _COLUMNS and len(values) > 1
            if not usual or values.size > _MOST:
                return None
            head, flat = list(values[:_LOOKED_AT]), values.reshape(-1)
        else:
            rows = _rows_in(values)
            if rows is None:
                return None
            head, flat = rows[:_LOOKED_AT], np.concatenate(rows)
        rising = all(bool((np.diff(r) >= 0).all()) for r in head)
        known = not rising and flat.min() >= 0 and flat.max() <= _LARGEST
        return cls(flat, head) if known else None


def _rows_in(values: Any) -> list[Ints] | None:
    if not isinstance(values, list) or not 1 < len(values) <= _MOST // _COLUMNS or not all(map(_is_row, values)):
        return None
    rows = [np.asarray(v) for v in values]
    usual = all(r.dtype.kind in "iu" for r in rows) and sum(map(len, rows)) <= _MOST
    return rows if usual else None


def _is_row(value: Any) -> bool:
    """A row of whole numbers, and no pair of an array and its label."""
    if isinstance(value, np.ndarray):
        return len(value.shape) == 1 and value.size > 0
    return isinstance(value, (tuple, list)) and len(value) > 0 and all(type(v) is int for v in value)


def by_appearance(values: Any) -> Appearance | None:
    """What is known of ids whose vocabulary counted up whenever a word of these rows was new; None for other ids.

    Args:
        values: ``(examples, length)`` whole numbers, or a list of rows of them.
    """
    ids = Ids.of(values)
    if ids is None:
        return None
    distinct, at = np.unique(ids.all, return_index=True)
    order = distinct[np.argsort(at)]
    for first in range(_SPECIAL + 1):
        words = order[order >= first]
        if len(words) < _FEWEST:
            return None
        if words[0] == first and len(words) >= 0.9 * (words.max() - first + 1):
            if _longest_rise(words) < _IN_ORDER * len(words):
                return None
            return Appearance(first, len(words), " ".join(_digests([row[row >= first] for row in ids.head])))
    return None


def _digests(rows: list[Ints]) -> Iterator[str]:
    """Of the first row, the first 2, 4, 8, …; ``-`` while all that they hold is new, as it is in any text."""
    digest = hashlib.blake2b(digest_size=8)
    seen: set[int] = set()
    new = True
    for i, row in enumerate(rows, 1):
        digest.update(np.ascontiguousarray([*row, -1], np.int64).tobytes())
        words = row.tolist()
        new = new and len(words) == len(set(words)) and seen.isdisjoint(words)
        seen.update(words)
        if i.bit_count() == 1:
            yield "-" if new else digest.hexdigest()


def _longest_rise(values: Ints) -> int:
    """Length of the longest ascending subsequence."""
    ends: list[int] = []
    for value in values.tolist():
        place = bisect_left(ends, value)
        ends[place : place + 1] = [value]
    return len(ends)
