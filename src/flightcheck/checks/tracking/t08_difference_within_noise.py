"""T08: one run looks better than another, and other seeds differ as much."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import ComparisonCheck, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.tracking._noise import Outcomes, interval, outcomes, pooled, seeds_needed
from flightcheck.recording.sides import Sides
from flightcheck.recording.signals import LOSS


@check(
    "T08",
    "difference-within-noise",
    severity="warn",
    evidence="T",
    needs=(LOSS, "evaluations"),
    fix="Run both with more seeds before one of them is called better.",
)
class DifferenceWithinNoise(ComparisonCheck):
    """The difference between two settings is no larger than what another seed makes.

    ## What it checks
    The loss of the last evaluation (without evaluations, the mean of the last tenth of the training loss) over all runs
    of each setting: those named, and those in the history that differ from them in nothing but seeds. With three seeds
    or more of each, the 95 % interval of the difference (Welch) must not contain 0. With fewer it says that it cannot
    tell, and how many seeds would. It applies to `flightcheck compare`.
    ## Why it matters
    Initial weights and order alone often move a result as much as the improvement that is claimed.
    ## How to fix
    More seeds, for both. The number named finds a difference as large as the one seen with a power of 0.8.
    ## Source
    Bouthillier et al. 2021 (variance of benchmarks); Dror et al. 2018.
    ## Known false alarms
    None: "within noise" is no proof that nothing differs. Only losses are compared, not the examples one by one, which
    may show a difference with fewer seeds. Losses of two different functions cannot be compared at all.
    """

    seeds = Param(3, "of each side: with fewer the spread between seeds is not known (catalogue T08)")
    confidence = Param(0.95, "of the interval of the difference, as usual in the sources")
    power = Param(0.8, "with which the number of seeds that is named finds a difference of this size")
    prior = Param(0.02, "share of the loss by which seeds are taken to scatter where nothing is known of it")

    def __call__(self, sides: Sides) -> Iterator[Finding]:
        if sides.same:
            raise NotApplicable("the runs differ in nothing but their seeds")
        found = outcomes(sides.first, sides.second)
        if found is None:
            raise NotEnoughEvidence("the runs have no number in common that tells how good they became")
        if len(found.first) == len(found.second) == 1 and found.difference == 0:
            raise NotApplicable(f"the {found.metric} is the same")
        if min(len(found.first), len(found.second)) < self.seeds.value:
            raise NotEnoughEvidence(self._cannot_tell(found))
        low, high = interval(found.first, found.second, self.confidence.value)
        if low <= 0 <= high:
            deviation = pooled(found.first, found.second) or 0.0
            yield Finding(
                f"The {found.metric} differs by {found.difference:+.3g} between {len(found.first)} and "
                f"{len(found.second)} seeds, but seeds alone make it differ as much: 95 % interval "
                f"{low:+.3g} to {high:+.3g}. {self._needed(found.difference, deviation)}",
                evidence={
                    "metric": found.metric, "difference": found.difference, "low": low, "high": high,
                    "seeds": [len(found.first), len(found.second)], "deviation": deviation,
                },
            )  # fmt: skip

    def _cannot_tell(self, found: Outcomes) -> str:
        told = (
            f"cannot tell whether the difference of the {found.metric} ({found.difference:+.3g}) is more than what "
            f"seeds do: {len(found.first)} and {len(found.second)} seeds, {self.seeds.value:g} of each are needed. "
        )
        deviation = pooled(found.first, found.second)
        if deviation is None:
            level = abs(sum(found.first + found.second)) / len(found.first + found.second)
            deviation = self.prior.value * level
            told += f"Assumed that seeds scatter by {self.prior.value:.0%}: "
        return told + self._needed(found.difference, deviation)

    def _needed(self, difference: float, deviation: float) -> str:
        needed = seeds_needed(difference, deviation, self.confidence.value, self.power.value)
        if needed is None:
            return "1000 seeds of each would not decide a difference of this size."
        return f"{max(needed, int(self.seeds.value))} seeds of each would decide a difference of this size."
