"""An accuracy as it was printed, beside what the evaluation counted."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from typing import Final

from flightcheck.frozen import frozen
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.run import Run
from flightcheck.recording.tallies import Tally

_SHARES: Final = re.compile(r"(?:^|_)(?:acc|accuracy)(?:_|$)")
_OF_OTHER_THINGS: Final = re.compile(
    r"(?:^|_)(?:bal|balanced|mean|avg|average|class|top\d*|train|training|tr|running|best|max)(?:_|$)"
)
_SCALES: Final = (1.0, 100.0)
"""A share, and percent."""
_AGREES: Final = 0.02
"""Relative: an accuracy that is nearer to what was counted is not called wrong."""
_SPREAD: Final = 0.02
"""Relative: counts that differ by more have one divisor only if they are divided by it."""
_SEVERAL: Final = 2
_MANY: Final = 3
_MOST_DECIMALS: Final = 6


@frozen
class Divided:
    """An accuracy that is another number than what was right over what was counted."""

    kind: str
    """``divisor``: it is divided by the number of something else. ``kept``: what was right in earlier evaluations is in
    it, too. ``last``: of all batches only the last one was compared."""
    name: str
    """Of the number, as it was printed."""
    tally: Tally
    """Of the last evaluation."""
    printed: float
    right: float
    """What was counted, on the same scale."""
    divisor: float
    evaluations: int

    @property
    def counted(self) -> int:
        """The answers that were compared in the last evaluation."""
        return sum(self.tally.counted)


@frozen
class _Printed:
    """One printed value beside what a line counted in the evaluation before."""

    value: float
    rounding: float
    tally: Tally

    @property
    def true(self) -> int:
        return sum(self.tally.true)

    @property
    def counted(self) -> int:
        return sum(self.tally.counted)


def wrong_shares(run: Run) -> Iterator[Divided]:
    """Accuracies that were printed after evaluations, and are exactly another number than what these counted."""
    tallies = [t for t in run.recorded(Tally) if sum(t.counted) > 1]
    lines = list(dict.fromkeys((t.location, t.source) for t in tallies))
    for metric in run.metrics:
        if metric.source != "printed" or not _SHARES.search(metric.name) or _OF_OTHER_THINGS.search(metric.name):
            continue
        beside = [_beside(run, metric, [t for t in tallies if (t.location, t.source) == line]) for line in lines]
        alone = [series for series in beside if _is_of_the_last(series)]
        if any(series and series not in alone and all(map(_is_right, series)) for series in beside):
            continue
        if alone:
            yield _told("last", metric, alone[0], 1.0, float(alone[0][-1].tally.rows))
            continue
        explained = (_kept(metric, series) or _divided(run, metric, series) for series in beside if series)
        found = next(filter(None, explained), None)
        if found is not None:
            yield found


def _beside(run: Run, metric: MetricInfo, tallies: Sequence[Tally]) -> list[_Printed]:
    """Values that were printed once at a step at which the line was in one evaluation."""
    steps, rows = run.frames.get(metric.signal, ((), ()))
    told: dict[int, list[float]] = {}
    for step, row in zip(steps, rows, strict=True):
        told.setdefault(int(step), []).append(float(row[0]))
    decimals = max((_decimals(v) for values in told.values() for v in values), default=0)
    times = [t.step for t in tallies]
    single = [t for t in tallies if times.count(t.step) == 1 and len(told.get(t.step, ())) == 1]
    return [_Printed(told[t.step][0], 0.51 * 10.0**-decimals, t) for t in single if math.isfinite(told[t.step][0])]


def _decimals(value: float) -> int:
    """Of a number that is held in single precision."""
    exact = (d for d in range(_MOST_DECIMALS) if math.isclose(round(value, d), value, rel_tol=3e-7, abs_tol=1e-12))
    return next(exact, _MOST_DECIMALS)


def _is_right(printed: _Printed) -> bool:
    """It is the share of what the line counted: in all, by the mean of its calls, or in the first or last of them."""
    true, counted = printed.tally.true, printed.tally.counted
    shares = [sum(t / n for t, n in zip(true, counted, strict=True)) / len(true)]
    for i in range(len(true)):
        shares += [sum(true[i:]) / sum(counted[i:]), sum(true[: i + 1]) / sum(counted[: i + 1])]
    near = printed.rounding + _AGREES * abs(printed.value)
    return any(abs(printed.value - scale * share) <= near for share in shares for scale in _SCALES)


def _is_of_the_last(series: Sequence[_Printed]) -> bool:
    """In each evaluation one comparison, of the last of several batches, gives the number: over it, or over all.

    Only batches of a loader count: a model that is called twice may be given the same examples, and a second model what
    the first made of them.
    """
    return len(series) >= _SEVERAL and all(
        len(p.tally.true) == 1
        and p.tally.source >= 0
        and p.tally.calls > 1
        and p.counted == p.tally.last_rows < p.tally.rows
        and any(abs(p.value - s * p.true / n) <= p.rounding for s in _SCALES for n in (p.counted, p.tally.rows))
        for p in series
    )


def _kept(metric: MetricInfo, series: Sequence[_Printed]) -> Divided | None:
    """The count goes on through all evaluations, and what it is divided by does not."""
    total = 0
    for printed in series:
        total += printed.true
        share = total / printed.counted
        if all(abs(printed.value - scale * share) > printed.rounding for scale in _SCALES):
            return None
    last = series[-1]
    scale = min(_SCALES, key=lambda s: abs(last.value - s * total / last.counted))
    return _told("kept", metric, series, scale, 0.0) if len(series) >= _SEVERAL else None


def _divided(run: Run, metric: MetricInfo, series: Sequence[_Printed]) -> Divided | None:
    """One divisor explains all values, and it is no count of what was compared."""
    if len(series) < _SEVERAL:
        return None
    for scale in _SCALES:
        low, high = 0.0, math.inf
        for p in series:
            if p.value <= p.rounding or not p.true:
                return None
            low = max(low, scale * p.true / (p.value + p.rounding))
            high = min(high, scale * p.true / (p.value - p.rounding))
        divisor = _whole(run, series, low, high)
        if divisor is not None and not _may_be_meant(series, divisor):
            return _told("divisor", metric, series, scale, divisor)
    return None


def _may_be_meant(series: Sequence[_Printed], divisor: float) -> bool:
    """How many were chosen by a mask, or all examples, of which few are answered."""
    masked = divisor < series[-1].counted and all(p.true <= divisor for p in series)
    return masked or divisor == series[-1].tally.rows


def _whole(run: Run, series: Sequence[_Printed], low: float, high: float) -> float | None:
    """A whole number between two bounds: one that is known, or the only one for several unlike evaluations."""
    tally, counted = series[-1].tally, series[-1].counted
    known = {tally.calls, tally.rows, tally.last_rows}
    known |= {n for loader in run.loaders for n in (loader.length, loader.examples) if n}
    known |= {d.examples for d in run.datasets if d.examples}
    inside = [float(n) for n in sorted(known) if n > 1 and low <= n <= high and abs(n / counted - 1) > _AGREES]
    if inside:
        return inside[0]
    true = [p.true for p in series]
    only, unlike = math.ceil(low), max(true) - min(true) > _SPREAD * max(true)
    alone = only == math.floor(high) and abs(only / counted - 1) > _AGREES
    return float(only) if alone and unlike and len(series) >= _MANY else None


def _told(kind: str, metric: MetricInfo, series: Sequence[_Printed], scale: float, divisor: float) -> Divided:
    last = series[-1]
    right = scale * last.true / last.counted
    return Divided(kind, metric.name, last.tally, last.value, right, divisor, len(series))
