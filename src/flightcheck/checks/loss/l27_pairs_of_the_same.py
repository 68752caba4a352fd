"""L27: pairs whose two halves are one and the same embedding."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._baseline import is_whole_loss
from flightcheck.recording.run import Run
from flightcheck.recording.same_pairs import SamePairs


@check(
    "L27",
    "pairs-of-the-same",
    severity="error",
    evidence="X",
    needs=("SamePairs",),
    fix="Draw the augmentation twice, and give the model one view in each call.",
)
class PairsOfTheSame(Check):
    """A loss brings pairs together that are equal already: the model was given the same input twice.

    ## What it checks
    In the first steps, what a loss takes for a pair that belongs together: the scores that cross-entropy, `diagonal` or
    an index picks from a matrix of products; both sides of `cosine_similarity`, `CosineEmbeddingLoss`, of anchor and
    positive of `TripletMarginLoss`, of a squared error or a distance. Told where in every call all pairs are equal,
    number by number, where both halves come from calls of one model with the same input, or stand in one batch twice;
    and where cross-entropy over similarities is the whole loss and asks of each example to resemble itself.
    ## Why it matters
    Two views of an example are to be near each other although they differ: that is all that is learnt. Of equal inputs
    a model makes equal embeddings, whatever its weights are. The loss begins near its floor, and falls only as far as
    different examples are pushed apart; it says nothing of what views have in common.
    ## How to fix
    Draw two views: `a, b = encoder(augment(x)), encoder(augment(x))`. A model with dropout that is on makes two views
    of one input by itself (SimCSE): then leave it in train mode.
    ## Source
    Chen et al. 2020 (SimCLR), section 2.1; Gao et al. 2021 (SimCSE), section 3, for dropout.
    ## Known false alarms
    None known. Pairs that differ in some rows or in some steps, a matrix of similarities whose own scores are taken out
    or masked, and a target that another model (a slow average, a teacher) or a predictor makes are left out.
    """

    calls = Param(3, "of the line, each in the graph of a loss: a batch of its own may hold the same example twice")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(SamePairs)
        if not run.info.steps and not found:
            raise NotApplicable("no training step was seen")
        told = [f for f in found if f.equal == f.calls and (not f.itself or self._is_all(run))]
        few = [f for f in told if f.calls < self.calls.value]
        if few and len(few) == len(told):
            raise NotEnoughEvidence(f"{few[0].calls} of {self.calls.value:.0f} calls of the line")
        several = sorted((f for f in told if f not in few), key=lambda f: f.itself)
        for f in several[:1]:  # two sums over rows and columns of one matrix are one fault
            yield self._finding(f)

    @staticmethod
    def _is_all(run: Run) -> bool:
        """Cross-entropy is the whole loss: nobody pushes embeddings apart by it beside another one."""
        return {run.site(c).function for c in run.training_calls()} <= {"cross_entropy", "nll_loss"} and is_whole_loss(
            run
        )

    @staticmethod
    def _finding(f: SamePairs) -> Finding:
        how = (
            "each is compared with itself"
            if f.itself
            else "the model was given the same input for both, and nothing random lies between"
        )
        return Finding(
            f"In all {f.calls} observed calls of {f.operation} both halves of all {f.rows} pairs are equal, number by "
            f"number: {how}.",
            location=f.made_location or f.location,
            evidence={"pairs": f.rows, "calls": f.calls, "compared": str(f.location), "input": str(f.origin)},
            onset_step=f.step,
        )
