"""Which classes the weights of a sampler mean: read from what a dataset holds; none of the user's methods is called."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from flightcheck.adapters.torch.held_data import Unknown, label_columns

_MOST_CLASSES: Final = 100
_MOST_EXAMPLES: Final = 2_000_000
"""Sorting them takes a fraction of a second."""
_SAME: Final = 1e-5
"""Relative difference of weights that are the same number, after sums in float32."""

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class WeightedClasses:
    """The classes of all examples, and how a sampler weights them."""

    codes: Ints
    """Per example: the place of its class among all, in their order."""
    counts: Ints
    """Per class."""
    weights: Floats | None
    """Per class; None if examples of one class have different weights."""
    misplaced: float = 0.0
    """Share of examples whose weight is that of another class, where the weights are the inverse of these very counts,
    as many times each, but not at the places of these classes."""

    def balancing(self) -> torch.Tensor:
        """Weights per example by which all classes are drawn equally often."""
        return torch.from_numpy(1.0 / self.counts[self.codes])


def weighted_classes(dataset: Any, weights: torch.Tensor) -> WeightedClasses | None:
    """The classes that a sampler's weights follow, or should have followed; None if none are known.

    Of several fields by which examples of one kind have one weight, the one with the fewest kinds.
    """
    given = weights.detach().cpu().double().numpy().reshape(-1)
    if not 1 < len(given) <= _MOST_EXAMPLES or not np.isfinite(given).all() or (given < 0).any():
        return None
    try:
        held = [column for field in label_columns(dataset, _MOST_EXAMPLES) for column in _columns_in(field)]
    except (Unknown, KeyError, IndexError, TypeError):  # rows of different kinds
        return None
    fields = [_coded(c) for c in held if len(c) == len(given)]
    known = sorted((f for f in fields if f is not None), key=lambda f: len(f[1]))
    for codes, counts in known:
        if (by_class := _per_class(given, codes)) is not None:
            return WeightedClasses(codes, counts, by_class)
    for codes, counts in known:
        if share := _misplaced(given, codes, counts):
            return WeightedClasses(codes, counts, None, share)
    return None


def _coded(values: npt.NDArray[Any]) -> tuple[Ints, Ints] | None:
    """Codes and counts of a column of classes: whole numbers, truth values or words of which there are a few."""
    if values.ndim > 1 and values.size == len(values):
        values = values.reshape(-1)
    if values.ndim != 1 or values.dtype.kind not in "biufUS":
        return None
    if values.dtype.kind == "f" and not bool((values == np.round(values)).all()):
        return None
    first = np.unique(values[:: max(1, len(values) // 1000)])
    if len(first) > _MOST_CLASSES:
        return None
    kinds, codes, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (codes.astype(np.int64), counts.astype(np.int64)) if 1 < len(kinds) <= _MOST_CLASSES else None


def _per_class(given: Floats, codes: Ints) -> Floats | None:
    order = np.argsort(codes, kind="stable")
    begins = np.flatnonzero(np.diff(codes[order], prepend=-1))
    low, high = np.minimum.reduceat(given[order], begins), np.maximum.reduceat(given[order], begins)
    return high if bool((high - low <= _SAME * high).all()) else None


def _misplaced(given: Floats, codes: Ints, counts: Ints) -> float:
    """The share of examples that have the weight of another class than theirs; 0 where the weights mean other kinds."""
    if not (given > 0).all():
        return 0.0
    levels = np.round(np.log(given), 4)
    values, places, sizes = np.unique(levels, return_inverse=True, return_counts=True)
    balancing = float(np.ptp(np.exp(values) * sizes)) <= 1e-3 * float((np.exp(values) * sizes).max())
    if not balancing or len(set(counts.tolist())) != len(counts) or sorted(sizes) != sorted(counts.tolist()):
        return 0.0
    return float((sizes[places] != counts[codes]).mean())


def _columns_in(held: npt.NDArray[Any] | list[Any]) -> Iterator[npt.NDArray[Any]]:
    """The columns of one field: an array, a list of words or numbers, or of tuples and dictionaries of these."""
    if isinstance(held, np.ndarray):
        yield held
        return
    if not held:
        return
    first = held[0]
    if isinstance(first, (tuple, dict)):
        for key in first if isinstance(first, dict) else range(len(first)):
            if _is_label(first[key]):
                yield from _columns_in([row[key] for row in held])
    elif _is_label(first):
        array = np.array([v.item() if isinstance(v, np.ndarray) else v for v in held])
        if len(array) == len(held):
            yield array


def _is_label(value: Any) -> bool:
    return isinstance(value, (str, bool, int, float, np.number, np.bool_)) or (
        isinstance(value, np.ndarray) and value.size == 1
    )
