"""Categories that were numbered for the evaluation by themselves: one number means two categories."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.batches import CategoryCounts
from flightcheck.recording.run import Run

_CHANCE: Final = 1e-3
"""Probability below which it is no chance that just the highest numbers are missing."""
_LIKELIER: Final = 20.0
"""Difference of the log-likelihoods by which the frequencies must be those of other categories in the same order."""
_FITS: Final = 0.01
"""Share of samples that are less likely than what was seen, at least, once the numbers are set right."""
_ROWS: Final = 32
_PER_NUMBER: Final = 3
"""Training examples of a number on average, from which its frequency is known."""
_DRAWS: Final = 400

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@frozen
class NumberedApart:
    """An argument of a model whose numbers mean other categories in an evaluation."""

    trained: CategoryCounts
    evaluated: CategoryCounts
    known: int
    present: int
    moved: int
    """Evaluated numbers that stand for another category than in training, under the order that fits best."""
    likelier: float


def numbered_apart(run: Run) -> Iterator[NumberedApart]:
    """Columns whose evaluated numbers have no gap although categories are missing, with the frequencies of others.

    Rows that lack a few categories lack the ones with the highest numbers only if the numbers were given by counting
    what is there. Then the frequencies are those of the training, with some categories left out in between.
    """
    trained = {(c.root, c.argument, c.column): c for c in run.recorded(CategoryCounts) if c.training}
    for c in run.recorded(CategoryCounts):
        one = trained.get((c.root, c.argument, c.column))
        if not c.training and one is not None and (found := _judge(one, c)) is not None:
            yield found


def _judge(trained: CategoryCounts, evaluated: CategoryCounts) -> NumberedApart | None:
    table = np.array(trained.counts, np.int64)
    numbers = np.flatnonzero(table)
    seen = np.zeros(max(len(table), len(evaluated.counts)), np.int64)
    seen[: len(evaluated.counts)] = evaluated.counts
    counts = seen[numbers]
    rows, present = int(counts.sum()), int((counts > 0).sum())
    if rows < max(_ROWS, int(0.9 * seen.sum())) or table.sum() < _PER_NUMBER * len(numbers):
        return None
    if not 2 < present < len(numbers) or not bool((counts[:present] > 0).all()):
        return None
    shares = (table[numbers] + 0.5) / (table[numbers] + 0.5).sum()
    if _chance_without_gaps(shares, rows) > _CHANCE:
        return None
    given = counts[:present]
    places = _with_unknown(shares, 1 / table.sum())
    order, fitted = _best_order(given, places)
    as_they_are = _likelihood(given, shares[:present])
    placed = np.zeros(len(places), np.int64)
    placed[order] = given
    if fitted - as_they_are < _LIKELIER or not _is_usual(placed, places / places.sum()):
        return None
    moved = int((order != 2 * np.arange(present) + 1).sum())
    return NumberedApart(trained, evaluated, len(numbers), present, moved, fitted - as_they_are)


def _chance_without_gaps(shares: Floats, rows: int) -> float:
    """The probability that some categories are missing, and these are those with the highest numbers."""
    absent = np.exp(-rows * shares)
    there = np.concatenate([[0.0], np.cumsum(np.log1p(-np.minimum(absent, 1 - 1e-12)))])
    missing = np.concatenate([np.cumsum(np.log(absent)[::-1])[::-1], [0.0]])
    return float(np.exp(there + missing)[:-1].sum())


def _with_unknown(shares: Floats, rare: float) -> Floats:
    """Before, between and behind the categories, one that the training lacks, as rare as it must be: ``(2 n + 1,)``."""
    places = np.full(2 * len(shares) + 1, rare)
    places[1::2] = shares
    return places


def _likelihood(counts: Counts, shares: Floats) -> float:
    """The logarithm, without what depends on the counts alone."""
    return float((counts * np.log(shares / shares.sum())).sum())


def _best_order(counts: Counts, shares: Floats) -> tuple[Counts, float]:
    """Which of the categories the numbers 0, 1, 2 … stand for, in the same order: the likeliest choice."""
    logs = np.log(shares)
    n, k = len(shares), len(counts)
    best = np.full((k + 1, n + 1), -np.inf)
    best[0] = 0.0
    for i in range(1, k + 1):
        best[i, 1:] = np.maximum.accumulate(best[i - 1, :-1] + counts[i - 1] * logs)
    order, j = np.zeros(k, np.int64), n
    for i in range(k, 0, -1):
        while j > i and best[i, j] == best[i, j - 1]:
            j -= 1
        j -= 1
        order[i - 1] = j
    return order, _likelihood(counts, shares[order])


def _is_usual(counts: Counts, shares: Floats) -> bool:
    """Samples from these shares are as unlikely often enough; those that are missing count as well."""
    logs = np.log(shares)
    drawn = np.random.default_rng(0).multinomial(int(counts.sum()), shares / shares.sum(), size=_DRAWS)
    less = (_surprise(drawn, logs) >= _surprise(counts[None], logs)[0]).mean()
    return bool(less >= _FITS)


def _surprise(counts: Counts, logs: Floats) -> Floats:
    """Minus the logarithm of the probability of counts, up to a constant."""
    factorials = np.array([math.lgamma(i + 1) for i in range(int(counts.max()) + 1)])
    found: Floats = factorials[counts].sum(1) - counts @ logs
    return found
