"""Classes whose numbers are given anew in each batch: by an encoder that is fitted to the labels of the batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

FEWEST: Final = 12
"""Batches that lack a class; fewer may lack the rarest ones by chance."""
_CHANCE: Final = 1e-6
"""Probability below which labels without a gap in all of these batches are no chance."""
_SMALLER: Final = 3
"""Times that a batch has fewer classes than the one before it: classes that come one after another only grow."""
_PER_CLASS: Final = 1.5
"""Labels per class: a target that counts the rows of its batch (0, 1, 2 …) has one."""
_CLASSES: Final = 100
_DRAWS: Final = 1000

Counts = npt.NDArray[np.int64]


@frozen
class NumberedAnew:
    """A loss whose labels are 0 … k−1 in each batch, with another k from batch to batch."""

    site: LossSite
    batches: int
    fewest: int
    most: int
    chance: float
    """Upper limit of the probability under labels that are drawn by their frequencies."""


def numbered_anew(run: Run) -> Iterator[NumberedAnew]:
    """Losses over classes whose labels have a gap in no batch, although batches lack classes.

    A batch that lacks one of several classes lacks the one with the highest number only if the numbers were given by
    counting what is there.
    """
    for site in run.loss_sites:
        calls = [c for c in run.training_calls("cross_entropy", "nll_loss") if c.site == site.index and c.label_counts]
        calls = [c for c in calls if len(c.target_shape) == 1 and not c.ignored]
        width = max((len(c.label_counts or []) for c in calls), default=0)
        if not 2 < width <= _CLASSES or {len(c.label_counts or []) for c in calls} != {width}:
            continue
        table = np.array([c.label_counts for c in sorted(calls, key=lambda c: c.step)], np.int64)
        found = _judge(site, table)
        if found is not None:
            yield found


def _judge(site: LossSite, table: Counts) -> NumberedAnew | None:
    there = (table > 0).sum(1)
    known = int((table.sum(0) > 0).sum())
    lacking = int((there < known).sum())
    smaller = sum(b < a for a, b in itertools.pairwise(there))
    if lacking < FEWEST or smaller < _SMALLER or not _without_gaps(table).all():
        return None
    if median(table.sum(1) / there) < _PER_CLASS:
        return None
    frequencies = table.sum(0) / table.sum()
    rng = np.random.default_rng(0)
    total = 0.0
    for size, times in zip(*np.unique(table.sum(1), return_counts=True), strict=True):
        shares = _without_gaps(rng.multinomial(int(size), frequencies, size=_DRAWS)).mean()
        total += int(times) * math.log(min((shares * _DRAWS + 3) / _DRAWS, 1.0))  # about an upper 95 % limit
    if total > math.log(_CHANCE):
        return None
    return NumberedAnew(site, len(table), int(there.min()), int(there.max()), math.exp(total))


def _without_gaps(table: Counts) -> npt.NDArray[np.bool_]:
    """Per row: no class that is missing has a lower number than one that is there."""
    there = table > 0
    return np.asarray((np.diff(there.astype(np.int8), axis=1) <= 0).all(1))
