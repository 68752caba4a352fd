"""Evaluation inputs that were standardized with their own mean and spread instead of those of the training set."""

from __future__ import annotations

import math
import re
from typing import Final

import numpy as np
import numpy.typing as npt

from flightcheck.checks.data._inputs import line_of
from flightcheck.checks.data._splits import Split
from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import Location

_STANDARDIZES: Final = re.compile(
    r"fit_transform|\b(mean|average|std|var|scale|zscore|standardi[sz]e\w*|normali[sz]e\w*)\("
)
"""A line that takes statistics of what it changes."""
_DEVIATION: Final = 0.02
"""Standard errors of a mean or spread: of examples drawn anew, one feature in 4000 has both so near by chance."""
_MEAN, _SPREAD = 1e-4, 2e-4
"""What rounding leaves of a mean of 0 and a standard deviation of 1."""
_FEATURES: Final = 2
"""One feature meets both by chance, in one evaluation of thousands; two never do."""
_MOST: Final = 0.6
"""Share of the moving features: one-hot columns are often left as they are."""
_VALUES: Final = 16
"""Different values from which inputs are measured: codes of -1 and 1 in equal numbers are standardized by nature."""
_AGAIN: Final = 3
"""Examples of the training that come again with the same values; fewer, and they are augmented or made anew."""
_EXPECTED: Final = 10
"""Known examples that an evaluation must be expected to hold, were it made of the training set."""


@frozen
class Own:
    """Evaluated batches that are standardized, each group by itself."""

    groups: list[list[Batch]]
    features: int
    in_training: Location | None
    """The line that made the training's inputs."""

    made_for_training: Location | None = None
    """The call that made them, once for all."""

    @property
    def location(self) -> Location | None:
        return self.groups[0][0].made_at if self._called_twice else line_of(self.groups[0][0])

    @property
    def _called_twice(self) -> bool:
        """One function standardizes both, in a call for all of the training's inputs and another one for these."""
        one = self.groups[0][0]
        called = one.made_at is not None and self.made_for_training is not None
        return called and one.origin == self.in_training and one.made_at != self.made_for_training

    @property
    def rows(self) -> int:
        return sum(b.shape[0] for b in self.groups[0])

    @property
    def certain(self) -> bool:
        """A line of its own takes the statistics, where the training is not put together from groups."""
        origin, other = self.groups[0][0].origin, self.in_training
        if origin is None or other is None or not _STANDARDIZES.search(origin.code):
            return False
        if origin == other and not self._called_twice:
            return False
        return not _one_by_one(other.code)


def _one_by_one(code: str) -> bool:
    """The training's examples, too, are standardized group by group: persons, sites, recordings."""
    found = _STANDARDIZES.search(code)
    before = code[: found.start()] if found else ""
    return bool(found) and (".append(" in before or before.count("[") > before.count("]") or "groupby" in code)


def standardized_by_themselves(split: Split, training: list[Batch], held_out: list[Batch]) -> Own | None:
    """Groups of evaluated batches in which nearly all features have mean 0 and standard deviation 1 to rounding.

    None where batches of training have them too (each is standardized by itself, in both), and where the evaluated
    examples may be those of the training.
    """
    if len({b.digest for b in training if _exact([b])}) > 1 or not _comes_again(split):
        return None
    loops: dict[tuple[int, int, Location | None], list[Batch]] = {}
    for b in held_out:
        loops.setdefault((b.step, b.source, b.location), []).append(b)
    for candidates in ([[b] for b in held_out], list(loops.values())):
        found = [g for g in _different(candidates) if _exact(g) and not _may_be_trained(split, g)]
        if found:
            return Own(found, _exact(found[0]), training[0].origin, training[0].made_at)
    return None


def _different(groups: list[list[Batch]]) -> list[list[Batch]]:
    """Without what is evaluated again."""
    return list({tuple(b.digest for b in g): g for g in reversed(groups)}.values())[::-1]


def _exact(group: list[Batch]) -> int:
    """How many features are standardized to rounding; 0 if not nearly all that vary are."""
    width = len(group[0].feature_means)
    if not width or any(len(b.feature_means) != width for b in group):
        return 0
    if max(b.distinct or 0 for b in group) <= _VALUES:
        return 0
    counts = np.array([b.shape[0] for b in group], dtype=float)[:, None]
    rows = float(counts.sum())
    means, stds = (np.array([getattr(b, n) for b in group], dtype=float) for n in ("feature_means", "feature_stds"))
    mean = (counts * means).sum(0) / rows
    std = np.sqrt(np.maximum((counts * (stds**2 + means**2)).sum(0) / rows - mean**2, 0.0))
    moving = std > 1e-6
    centred = np.abs(mean) < min(_MEAN, _DEVIATION / math.sqrt(rows))
    exact = int((moving & centred & _is_one(std, rows)).sum())
    return exact if exact >= _FEATURES and exact >= _MOST * int(moving.sum()) else 0


def _is_one(std: npt.NDArray[np.float64], rows: float) -> npt.NDArray[np.bool_]:
    """A standard deviation of 1, also where it was computed with n - 1 in the place of n."""
    near = min(_SPREAD, _DEVIATION / math.sqrt(2 * rows))
    found: npt.NDArray[np.bool_] = (np.abs(std - 1) < near) | (np.abs(std - math.sqrt(1 - 1 / rows)) < near)
    return found


def _comes_again(split: Split) -> bool:
    """The training goes over its examples again, and they are the same then: so they can be recognized."""
    rows = [r for b in split.training for r in b.rows if r]
    return len(rows) - len(split.trained_rows) >= _AGAIN


def _may_be_trained(split: Split, group: list[Batch]) -> bool:
    rows = [r for b in group for r in b.rows if r]
    total = sum(b.shape[0] for b in group)
    known = len(split.trained_rows.keys() & set(rows))
    return known >= _AGAIN or len(rows) * len(split.trained_rows) / total < _EXPECTED
