"""L24: cosines that a factor below 1 makes so alike that no softmax can tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.similarities import ScaledSimilarity, least_loss


@check(
    "L24",
    "similarities-too-alike",
    severity="error",
    evidence="B",
    needs=("ScaledSimilarity",),
    fix="Divide the similarities by the temperature: logits = a @ b.t() / temperature, with a temperature below 1.",
)
class SimilaritiesTooAlike(Check):
    """Similarities of vectors of length 1 are multiplied by a factor below 1 before a softmax: it stays nearly even.

    ## What it checks
    In the first steps, products of two matrices whose rows all have length 1, by their numbers, and the constant
    factors on the way to a cross-entropy, `log_softmax`, `logsumexp` or `exp` of the loss. Cosines lie between -1 and
    1, so with a factor s and n scores in a row no vectors whatever bring the loss below log(1 + (n - 1)·exp(-2s)).
    Told where s is below 1 and this floor is most of log n, the loss of a guess.
    ## Why it matters
    A contrastive loss learns from the differences between scores. With a temperature of 0.1 that multiplies, the right
    pair gets at most e^0.2 times the weight of any other: all pairs are pushed alike, and the loss hardly falls.
    ## How to fix
    `logits = a @ b.t() / temperature`; temperatures of 0.05 to 0.5 are usual. `CrossEntropyLoss` on cosines wants a
    scale of 10 to 30.
    ## Source
    Chen et al. 2020 (SimCLR), equation 1; Wang et al. 2017 (NormFace), proposition 2, for the bound.
    ## Known false alarms
    None known. Factors that are learned, that change from step to step, or that are 1 are left out.
    """

    calls = Param(3, "of the line, each in the graph of a loss: a first look at the scores is no habit")
    share = Param(
        0.75,
        "of log n: with a factor of 1, which is no scaling, 64 scores have a floor of 0.54 of it, and the usual "
        "temperatures up to 0.5 less than 0.4",
    )

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(ScaledSimilarity)
        if not run.info.steps and not found:
            raise NotApplicable("no training step was seen")
        told = [f for f in found if f.steady and f.scale < 1 and f.items > 1 and self._floor_is_high(f)]
        if told and run.info.steps < self.calls.value:
            raise NotEnoughEvidence(f"{told[0].calls} of {self.calls.value:.0f} calls of the line")
        for f in told:
            if f.calls >= self.calls.value:
                yield self._finding(f)

    def _floor_is_high(self, f: ScaledSimilarity) -> bool:
        return least_loss(f.scale, f.items) >= self.share.value * math.log(f.items)

    @staticmethod
    def _finding(f: ScaledSimilarity) -> Finding:
        floor, guess, at = least_loss(f.scale, f.items), math.log(f.items), f.location
        own = "" if f.operation == "cross_entropy" else "own:"
        return Finding(
            f"Cosines, which lie between -1 and 1, are multiplied by {f.scale:.3g} before the softmax over {f.items} "
            f"of them ({f.calls} calls): the loss cannot fall below {floor:.3f}, whatever is learned, and a guess has "
            f"{guess:.3f}.",
            location=at,
            evidence={
                "scale": f.scale,
                "items": f.items,
                "floor": floor,
                "guess": guess,
                "product": str(f.product_location),
                "softmax": str(f.used_location),
            },
            onset_step=f.step,
            fix=f"Divide by the temperature here, so that the cosines are multiplied by {1 / f.factor:.3g}.",
            patch=f"temperature:{own}{PurePath(at.file).name}:{at.line}" if at is not None else "",
        )
