"""Are two curves the same, bit for bit or within noise?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from flightcheck.frozen import frozen
from flightcheck.recording.outcomes import final_loss
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM_TOTAL, LOSS, Signal

CONFIDENCE = 0.95
"""Of both intervals together that the original's numbers must lie in: as in T08, and as usual."""
_NUMBERS = 2
FEWEST = 3
"""Runs from which on their spread tells something: with two, the interval is as wide as 18 times it."""

Floats = npt.NDArray[np.float64]


@frozen
class Curve:
    """One series of numbers in both runs."""

    name: str
    points: int
    """Steps at which both recorded it."""
    equal: int
    """Of these, how many from the start are the same bit for bit."""
    differs_at: int | None = None
    """The first step at which they are not."""
    first: float | None = None
    """The original's value there."""
    second: float | None = None

    @property
    def same(self) -> bool:
        return self.differs_at is None

    def in_words(self) -> str:
        """One clause."""
        if self.same:
            return f"{self.name}: the same bits at all {self.points} points"
        return f"{self.name}: other bits from step {self.differs_at} on ({self.first!r} → {self.second!r})"


def curves(one: Run, other: Run) -> list[Curve]:
    """What both runs recorded of the same: the training loss first, then evaluations and the gradient's norm."""
    found = [_of_signal("training loss", LOSS, one, other), _of_evaluations(one, other),
             _of_signal("norm of the gradient", GRAD_NORM_TOTAL, one, other)]  # fmt: skip
    signals = {m.signal for m in other.metrics}
    for m in one.metrics:
        if m.signal in signals:
            own = Signal(m.signal, "step", "", "")
            found.append(_of_signal(f"{m.name} ({m.source})", own, one, other))
    return [c for c in found if c is not None]


def _of_signal(name: str, signal: Signal, one: Run, other: Run) -> Curve | None:
    if signal.name not in one.frames or signal.name not in other.frames:
        return None
    a, b = one.series(signal), other.series(signal)
    steps, at, also = np.intersect1d(a.steps, b.steps, return_indices=True)
    return _curve(name, steps, a.values[at], b.values[also])


def _of_evaluations(one: Run, other: Run) -> Curve | None:
    a, b = dict(_evaluations(one)), dict(_evaluations(other))
    common = sorted(a.keys() & b.keys())
    steps = np.array([step for step, *_ in common], dtype=np.int64)
    return _curve("loss of evaluations", steps, np.array([a[k] for k in common]), np.array([b[k] for k in common]))


def _evaluations(run: Run) -> Iterator[tuple[tuple[int, int, int], float]]:
    seen: dict[tuple[int, int], int] = {}
    for e in run.evaluations:
        key = (e.step, e.root)
        seen[key] = seen.get(key, 0) + 1
        if e.loss_value is not None:
            yield (*key, seen[key]), e.loss_value


def _curve(name: str, steps: npt.NDArray[np.int64], a: Floats, b: Floats) -> Curve | None:
    if not len(steps):
        return None
    different = np.flatnonzero(~((a == b) | (np.isnan(a) & np.isnan(b))))
    if not len(different):
        return Curve(name, len(steps), len(steps))
    start = int(different[0])
    return Curve(name, len(steps), start, int(steps[start]), float(a[start]), float(b[start]))


# -- noise ------------------------------------------------------------------------------------------------------------


@frozen
class Noise:
    """One number of the original beside what repetitions make of it."""

    name: str
    original: float
    repetitions: list[float]
    low: float
    high: float

    @property
    def within(self) -> bool:
        return self.low <= self.original <= self.high

    def in_words(self) -> str:
        """One sentence."""
        place = "inside" if self.within else "outside"
        return (f"{self.name} {self.original:.5g}: {place} {self.low:.5g} to {self.high:.5g}, where one more run like "
                f"these {len(self.repetitions)} is expected")  # fmt: skip


def noise(original: Run, repetitions: Sequence[Run]) -> list[Noise]:
    """The interval in which one more run is expected, for the mean of the curve and for its end.

    Each is the prediction interval of a normal sample, ``mean ± t · s · √(1 + 1/n)``; both hold together with 95 %.

    Args:
        original: the recorded run.
        repetitions: three or more runs of the rebuilt code, with different random numbers.
    """
    found = []
    for name, value, others in _numbers(original, repetitions):
        if len(others) < FEWEST or not all(map(math.isfinite, [value, *others])):
            continue
        mean = sum(others) / len(others)
        deviation = math.sqrt(sum((v - mean) ** 2 for v in others) / (len(others) - 1))
        half = _quantile(len(others) - 1) * deviation * math.sqrt(1 + 1 / len(others))
        found.append(Noise(name, value, others, mean - half, mean + half))
    return found


def _numbers(original: Run, repetitions: Sequence[Run]) -> Iterator[tuple[str, float, list[float]]]:
    if LOSS.name in original.frames:
        means = [_mean(r, original) for r in repetitions]
        yield "mean training loss", _mean(original, original), [m for m in means if not math.isnan(m)]
    told = final_loss(original)
    if told is not None:
        ends = [end for r in repetitions if (end := final_loss(r)) is not None and end[0] == told[0]]
        yield told[0], told[1], [value for _, value in ends]


def _mean(run: Run, original: Run) -> float:
    """Over the steps that the original recorded."""
    if LOSS.name not in run.frames:
        return math.nan
    series = run.series(LOSS)
    common = np.isin(series.steps, original.series(LOSS).steps)
    return float(series.values[common].mean()) if common.any() else math.nan


def _quantile(freedom: int) -> float:
    from scipy import stats  # type: ignore[import-untyped] # slow to import, and needed where curves differ only

    return float(stats.t.ppf(1 - (1 - CONFIDENCE) / _NUMBERS / 2, freedom))
