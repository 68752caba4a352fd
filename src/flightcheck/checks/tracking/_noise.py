"""Is the difference between two groups of runs larger than what seeds do?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from flightcheck.frozen import frozen
from flightcheck.recording.outcomes import final_loss
from flightcheck.recording.run import Run

MOST_SEEDS = 1000


@frozen
class Outcomes:
    """The same number of every run of both sides."""

    metric: str
    first: list[float]
    second: list[float]

    @property
    def difference(self) -> float:
        return sum(self.second) / len(self.second) - sum(self.first) / len(self.first)


def outcomes(first: Sequence[Run], second: Sequence[Run]) -> Outcomes | None:
    """What the runs came to, one run for each seed; None where the two that were named cannot be compared."""
    one, other = final_loss(first[0]), final_loss(second[0])
    if one is None or other is None or one[0] != other[0] or _functions(first[0]) != _functions(second[0]):
        return None
    return Outcomes(one[0], _distinct(first, one[0]), _distinct(second, one[0]))


def _functions(run: Run) -> set[tuple[str, str]]:
    """The losses that were trained: values of two different functions cannot be compared."""
    return {(s.function, str(s.settings.get("reduction"))) for s in run.loss_sites if s.train_calls}


def _distinct(runs: Sequence[Run], metric: str) -> list[float]:
    """Of every seed once: a repetition with the same seed tells nothing of what seeds do."""
    found: dict[object, float] = {}
    for run in runs:
        told = final_loss(run)
        if told is None or told[0] != metric or run.info.steps != runs[0].info.steps:
            continue
        seeds = run.seeding.values if run.seeding is not None else {}
        found.setdefault(tuple(sorted(seeds.items())) if seeds else told[1], told[1])
    return list(found.values())


def spread(values: Sequence[float]) -> float:
    """The standard deviation of a sample of two or more."""
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def pooled(first: Sequence[float], second: Sequence[float]) -> float | None:
    """One standard deviation between seeds out of the sides that have two or more; None if none has."""
    sides = [s for s in (first, second) if len(s) >= 2]
    freedom = sum(len(s) - 1 for s in sides)
    return math.sqrt(sum((len(s) - 1) * spread(s) ** 2 for s in sides) / freedom) if freedom else None


def interval(first: Sequence[float], second: Sequence[float], confidence: float) -> tuple[float, float]:
    """Welch's interval of the difference of the means, second minus first."""
    from scipy import stats  # type: ignore[import-untyped] # slow to import, and needed by few

    a, b = spread(first) ** 2 / len(first), spread(second) ** 2 / len(second)
    difference = sum(second) / len(second) - sum(first) / len(first)
    if a + b == 0:
        return difference, difference
    freedom = (a + b) ** 2 / (a**2 / (len(first) - 1) + b**2 / (len(second) - 1))
    half = float(stats.t.ppf(0.5 + confidence / 2, freedom)) * math.sqrt(a + b)
    return difference - half, difference + half


def seeds_needed(difference: float, deviation: float, confidence: float, power: float) -> int | None:
    """Runs of each side with which a two-sided t test finds such a difference; None if more than 1000."""
    from scipy import stats

    if difference == 0:
        return None
    if deviation == 0:
        return 2
    effect = abs(difference) / deviation

    def enough(n: int) -> bool:
        limit = stats.t.ppf(0.5 + confidence / 2, 2 * n - 2)
        return bool(stats.nct.sf(limit, 2 * n - 2, effect * math.sqrt(n / 2)) >= power)

    if not enough(MOST_SEEDS):
        return None
    low, high = 1, MOST_SEEDS
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
