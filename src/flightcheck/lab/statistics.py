"""Is it better? Paired comparison of two trainings that saw the same batches from the same seeds.

The unit is a *block*: the mean over a quarter of the last third of the steps. Neighbouring steps share their noise,
blocks of several steps hardly do; blocks of one seed still share the seed, which is why all seeds must agree as well,
and agree so far that their own spread leaves the mean above 0: in simulated noise that wanders for dozens of steps the
blocks alone were fooled 5 times in 100.

Evaluations are few, and one trained model stands behind all that follow each other: there the unit is the *seed*, and
the test Student's paired t test. Where both trainings make the same steps, what differs is how the same weights are
evaluated, and no other model would have come of it by chance: there each evaluation is a unit again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats  # type: ignore[import-untyped]

from flightcheck.frozen import frozen
from flightcheck.recording.experiments import Status

Floats = npt.NDArray[np.float64]

ALPHA: Final = 0.01
"""Family-wise level of all experiments of one report (catalogue, section 2.2)."""
SEEDS: Final = 3
MORE_SEEDS: Final = 5
"""Where all of the first seeds improve by more than the margin and yet differ too much to confirm it: so many in all,
and no third look. Simulated, this finds 85 of 100 real effects of twice their spread, and three seeds alone 49."""
BLOCKS: Final = 4
_LAST: Final = 3
"""The last third of the steps counts: the first steps say more of the start than of the change."""
_FEWEST: Final = 12
"""Steps without which there is no comparison: blocks of a single step."""
_MOST_EXACT: Final = 13
"""Differences up to which all signs are tried: 8192 of them."""
_RANDOM_SIGNS: Final = 9999
_UNITS: Final = 8
"""Evaluations of the same weights that may be units of their own: of fewer, no signs are rarer than half of `ALPHA`."""
_WORST: Final = 3.0
"""Losses above the start by more than this many times its size all count as this bad, so that one divergence to 1e30
does not decide a mean; what is not finite counts as that bad, too."""
_FAR: Final = 1000.0
"""Times the better one's evaluations: a worse one is as bad as any."""


@frozen
class Pair:
    """One seed: a metric over the steps without and with the patch, ``(steps,)`` each, lower is better."""

    control: Floats
    patched: Floats
    evaluations: bool = False
    """The values are of one evaluation each, ``(evaluations,)``, not of one step."""
    largest: float = math.inf
    """No value can be worse: 1 for a share of wrong answers."""
    same_training: bool = False
    """Both made the same steps, bit for bit: at each evaluation the same weights are judged twice."""
    answers: tuple[int, int, int] | None = None
    """Of the last evaluation of the same weights: wrong answers without the patch and with it, of so many."""
    best: float = 0.0
    """No value can be better: -1 for a share of right answers, with its sign turned."""
    ratios: bool = False
    """The values are logarithms: differences are ratios."""

    def start(self) -> float:
        """Level at the start: median of the first steps that are finite, without the patch (with it, if none is)."""
        for values in (self.control, self.patched):
            finite = values[np.isfinite(values)]
            if len(finite):
                return float(np.median(finite[: 1 if self.evaluations else 5]))
        return math.nan

    def untrained(self) -> float:
        """The lower level at the start, with or without the patch: where one exploded at once, the other tells."""
        return min(self.start(), Pair(self.patched, self.control, self.evaluations).start())

    def _worst(self) -> float:
        """From here on a value is as bad as any. Losses that start at 0 have their size from the steps after it."""
        start = self.untrained()
        if not math.isfinite(start):
            raise ValueError("no value is finite, with the patch or without it")
        if math.isfinite(self.largest):
            return self.largest
        sizes = [float(np.median(np.abs(x))) for v in (self.control, self.patched) if len(x := v[np.isfinite(v)])]
        size = min(sizes)
        if (
            self.evaluations
        ):  # the first may be the only one: then a start that the patch made says nothing of the other
            size = min(max(sizes), _FAR * size) if size else max(sizes)
        return start + _WORST * max(abs(start), size)

    def blocks(self) -> tuple[Floats, Floats]:
        """Means of blocks of the last third, ``(BLOCKS,)`` each; of evaluations, each of the last third is a block.

        Raises:
            ValueError: too few steps, or none with a finite value.
        """
        n = min(len(self.control), len(self.patched))
        fewest = 1 if self.evaluations else _FEWEST
        if n < fewest:
            what = "evaluations" if self.evaluations else "steps"
            raise ValueError(f"{n} {what} with and without the patch; at least {fewest} are needed")
        worst = self._worst()
        blocks = max(n // _LAST, 1) if self.evaluations else BLOCKS
        last = slice(n - max(n // _LAST, blocks), n)
        ends = []
        for values in (self.control, self.patched):
            x = np.where(np.isfinite(values[last]), values[last], worst)
            ends.append(np.array([b.mean() for b in np.array_split(np.minimum(x, worst), blocks)]))
        return ends[0], ends[1]


@frozen
class Comparison:
    """The outcome over the seeds so far."""

    status: Status
    before: float
    after: float
    start: float
    """Mean of `Pair.untrained`."""
    margin: float
    differences: list[float]
    low: float
    high: float
    p: float
    seeds_needed: int | None

    @property
    def worth_more_seeds(self) -> bool:
        """Undecided, although every seed improves by more than the margin."""
        return self.status == "inconclusive" and min(self.differences) > self.margin


def practical_margin(before: float, absolute: float = 0.01) -> float:
    """The smallest improvement that counts: 0.01 nat or 2 % of the reference loss, whichever is larger."""
    return max(absolute, 0.02 * abs(before))


def compare(
    pairs: Sequence[Pair], margin: float | None = None, seeds: int = SEEDS, absolute: float = 0.01
) -> Comparison:
    """Declare an experiment after some of its seeds.

    *confirmed*: all seeds are there, each improves by more than the margin, the one-sided 97.5 % limit of their mean
    is above 0 (unless both make the same steps, where nothing wanders), and p < 0.01 in the pooled blocks' one-sided
    sign-flip test (Fisher's randomization test; of evaluations of different trainings: in the seeds' t test; of a few
    evaluations of the same weights whose answers are known: in Fisher's exact test over the examples, in each seed),
    p being twice that of the test where there are two looks (Bonferroni). *refuted*: the two-sided 95 % interval of the
    mean improvement lies below the margin. Else *inconclusive*, with the seeds that would decide (power 0.8).

    Args:
        pairs: one per seed.
        margin: the smallest improvement that counts; `practical_margin` if None.
        seeds: how many are wanted; of `SEEDS` there is a second look at `MORE_SEEDS`.
        absolute: the margin's lower bound in the unit of the metric.

    Raises:
        ValueError: too few steps, or none with a finite value.
    """
    ends = [p.blocks() for p in pairs]
    before = float(np.mean([c.mean() for c, _ in ends]))
    after = float(np.mean([p.mean() for _, p in ends]))
    start = float(np.mean([p.untrained() for p in pairs]))
    limit = practical_margin(before, absolute) if margin is None else margin
    differences = [float((c - p).mean()) for c, p in ends]
    units = np.concatenate([c - p for c, p in ends])
    same = all(p.same_training for p in pairs) and len(units) >= _UNITS
    by_answer = not same and all(p.same_training and p.answers is not None for p in pairs)
    by_seed = pairs[0].evaluations and not same and not by_answer
    if by_seed and len(pairs) > 1:
        units = np.array(differences)
    low, high = _interval(units)
    looks = (seeds, MORE_SEEDS) if seeds == SEEDS else (seeds,)
    least = max(map(_of_answers, pairs)) if by_answer else t_test(differences) if by_seed else sign_flip(units)
    p = min(1.0, len(looks) * least)
    status: Status = "inconclusive"
    if len(pairs) in looks and min(differences) > limit and p < ALPHA and (same or by_answer or _agree(differences)):
        status = "confirmed"
    elif high < limit and len(pairs) >= min(2, seeds):
        status = "refuted"
    needed = seeds_needed(differences, limit) if status == "inconclusive" and len(pairs) > 1 else None
    return Comparison(status, before, after, start, limit, differences, low, high, p, needed)


def sign_flip(differences: Floats) -> float:
    """One-sided p value of "the mean is not above 0": all 2ⁿ signs for small n, else 9999 random ones."""
    n = len(differences)
    if not np.any(differences):
        return 1.0
    exact = n <= _MOST_EXACT
    if exact:
        bits = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    else:
        bits = np.random.default_rng(0).integers(0, 2, (_RANDOM_SIGNS, n))
    sums = (2 * bits - 1) @ differences
    # The observed signs are among the exact ones; rounding must not put them below themselves.
    as_large = int((sums >= differences.sum() - 1e-9 * np.abs(differences).sum()).sum())
    return as_large / 2**n if exact else (as_large + 1) / (_RANDOM_SIGNS + 1)


def t_test(differences: Sequence[float]) -> float:
    """One-sided p value of "the mean is not above 0" over seeds (Student's paired t test); 1 for a single seed."""
    x = np.asarray(differences, dtype=float)
    if len(x) < 2:
        return 1.0
    if not np.ptp(x):
        return 0.0 if x[0] > 0 else 1.0
    # Not ttest_1samp: it warns of differences that are nearly equal, and those are welcome here.
    return float(stats.t.sf(float(x.mean()) / (float(x.std(ddof=1)) / math.sqrt(len(x))), len(x) - 1))


def _of_answers(pair: Pair) -> float:
    """One-sided p value of "no fewer wrong answers with the patch" (Fisher's exact test); 1 where none are known."""
    if pair.answers is None:
        return 1.0
    before, after, n = pair.answers
    return float(stats.fisher_exact([[before, n - before], [after, n - after]], alternative="greater")[1])


def _agree(differences: Sequence[float]) -> bool:
    """The lower 97.5 % t limit of the seeds' mean is above 0."""
    return len(differences) < 2 or t_test(differences) < 0.025


def _interval(x: Floats) -> tuple[float, float]:
    """Two-sided 95 % t interval of the mean."""
    if len(x) < 2 or not np.ptp(x):
        return float(x.mean()), float(x.mean())
    half = float(stats.t.ppf(0.975, len(x) - 1)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return float(x.mean()) - half, float(x.mean()) + half


def seeds_needed(differences: Sequence[float], margin: float) -> int | None:
    """Seeds that would show an improvement above the margin as large as the one observed, at power 0.8.

    None if what was observed lies below the margin: then no number of seeds would confirm it.
    """
    x = np.asarray(differences, dtype=float)
    effect = float(x.mean()) - margin
    if effect <= 0:
        return None
    z = float(stats.norm.ppf(1 - ALPHA) + stats.norm.ppf(0.8))
    return max(len(differences) + 1, math.ceil((z * float(x.std(ddof=1)) / effect) ** 2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p values in the same order (Holm 1979): each is below α where Holm's procedure rejects at α."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, i in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[i]))
        adjusted[i] = largest
    return adjusted
