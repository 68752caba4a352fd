"""L30: weights of losses that are trained by these losses, with nothing in the sum that keeps them up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.learned_weights import LearnedWeights
from flightcheck.recording.run import Run


@check(
    "L30",
    "loss-weights-unheld",
    severity="error",
    evidence="X",
    needs=("LearnedWeights",),
    fix="Add minus the logarithm of each weight: exp(-s) * loss + s, loss / (2 * sigma**2) + log(sigma).",
)
class LossWeightsUnheld(Check):
    """Losses are multiplied by trained weights, and no other term keeps these from going to zero.

    ## What it checks
    In the first steps, sums of losses in which a number (or each of a few) is multiplied by what trained parameters
    alone make, or divided by it. Told where no other term of the sum is made of these parameters, in all backward
    passes, or where the rest of the sum is the logarithm of the weights with the sign turned, and all weights become
    smaller (all divisors larger) from each pass to the next.
    ## Why it matters
    The sum is smallest where the weights are zero, whatever the model does: the printed loss falls, the gradients fall
    with it, and the training ends before anything is learnt. The logarithm is what makes the weight the inverse of a
    task's noise.
    ## How to fix
    `(torch.exp(-s) * losses + s).sum()` with one `s` for each task.
    ## Source
    Kendall et al. 2018, Multi-task learning using uncertainty to weigh losses, equations 7 and 10.
    ## Known false alarms
    None known. Weights whose sum is held (a softmax, GradNorm's) do not all fall, and multipliers that are trained by
    ascent, or by a loss of their own on which gradients are cut, do not fall with the loss.
    """

    straight = Param(
        0.1, "of the slope: the logarithm of a weight exactly, but for the digits that a sum of losses loses"
    )
    backwards = Param(4, "passes: three steps down in a row of every weight, and no step up")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(LearnedWeights)
        if not run.info.steps and not found:
            raise NotApplicable("no training step was seen")
        trained = {p.index for p in run.parameters if run.trained(p)}
        free = [f for f in found if (not f.held or self._pulls_along(f, found)) and trained.issuperset(f.parameters)]
        several = [f for f in free if f.backwards >= self.backwards.value]
        if free and not several:
            raise NotEnoughEvidence(f"{free[0].backwards} backward passes through the weighted losses")
        falling = {f.location: f for f in several if self._falls(f)}
        yield from map(self._finding, falling.values())

    @staticmethod
    def _falls(f: LearnedWeights) -> bool:
        """Every weight, or the inverse of every divisor, is positive and goes down in every pass."""
        weights = [[1 / v if f.quotient and v else v for v in values] for values in f.values]
        return all(
            len(one) == len(other) and all(0 < b < a for a, b in zip(one, other)) for one, other in pairwise(weights)
        )

    def _pulls_along(self, f: LearnedWeights, found: list[LearnedWeights]) -> bool:
        """The rest of the loss is the sum of the logarithms of the weights, but for a factor and a constant, and falls
        with them: it should rise against them.
        """
        beside = [g for g in found if g.location == f.location and g.backwards == f.backwards]
        rest = next((g.rest for g in beside if g.rest), [])
        rows = [[v for values in row for v in values] for row in zip(*(g.values for g in beside))]
        if not len(rest) == len(rows) >= self.backwards.value or any(v <= 0 for row in rows for v in row):
            return False
        logarithms = [(-1 if f.quotient else 1) * sum(map(math.log, row)) for row in rows]
        slopes = [(b - a) / (q - p) for (a, b), (p, q) in zip(pairwise(rest), pairwise(logarithms)) if q < p]
        straight = len(slopes) == len(rest) - 1 and max(slopes) - min(slopes) <= self.straight.value * max(slopes)
        return straight and min(slopes) > 0

    @staticmethod
    def _finding(f: LearnedWeights) -> Finding:
        at, last = f.location, max(f.values[-1]) if f.quotient else min(f.values[-1])
        what = "divided by" if f.quotient else "multiplied by"
        fell = (
            f"in {f.backwards} backward passes every weight fell (from {f.values[0][0]:.4g} to {last:.4g}"
            f"{' as a divisor' if f.quotient else ''})"
        )
        why = (
            f"and the term that should hold them falls with them: {fell}, and the loss has no lower bound."
            if f.held
            else f"and nothing else in it holds them: {fell}, which lowers the loss without any learning."
        )
        return Finding(
            f"Losses are {what} numbers that the same loss trains, {why}",
            location=at,
            evidence={"weights": len(f.values[0]), "first": f.values[0], "last": f.values[-1]},
            onset_step=f.step,
            patch=f"weights-{'turned' if f.held else 'held'}:{f.argument}@{PurePath(at.file).name}:{at.line}",
            fix=f"Turn the sign of one of the two: {'loss / exp(s) + s' if f.quotient else 'exp(-s) * loss + s'}."
            if f.held
            else "",
            parameters=tuple(f.parameters),
        )
