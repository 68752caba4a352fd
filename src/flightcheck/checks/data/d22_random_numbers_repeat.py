"""D22: a random generator that is set back to the same seed in every step."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.reseedings import Reseeding
from flightcheck.recording.run import Run


@check(
    "D22",
    "random-numbers-repeat",
    severity="error",
    evidence="X",
    needs=("Reseeding",),
    fix="Set the seed once, before the training; nowhere that runs in every step.",
    patch="reseed:off",
)
class RandomNumbersRepeat(Check):
    """A random generator gets the same seed in every step, so that all steps draw the same random numbers.

    ## What it checks
    Calls of `torch.manual_seed`, `numpy.random.seed` and `random.seed` after the first step: a line that gives a
    generator the same number in more than half of the steps, and each time numbers were drawn since the last. Where the
    generator then gets its state back (`torch.random.fork_rng`), nothing repeats. An error
    if all inputs of the training are one and the same batch while that is so, or where a trial shows that the
    evaluation gets better without it; else a warning.
    ## Why it matters
    A batch that is picked by `torch.randint` is the same one in every step; noise, dropout and augmentation are the
    same for each example. The model learns these few numbers by heart.
    ## How to fix
    Set the seed once at the start of the script. For an evaluation that is to draw the same numbers each time, use a
    generator of its own: `torch.Generator().manual_seed(0)`.
    ## Source
    PyTorch's note on reproducibility; its forum, "same batch every time".
    ## Known false alarms
    Common random numbers on purpose in every step of the training. Seeds that count up, and seeds in evaluations that
    come less often than in every other step, are not flagged.
    """

    steps = Param(20, "a script may well begin a handful of epochs of one step with the same seed")
    share = Param(0.5, "of the steps: an evaluation in every other step sets its seed less often")
    drawn = Param(0.9, "of the steps: where nothing is drawn in between, nothing repeats")
    equal = Param(12, "as in D05: a dozen equal batches in a row are no coincidence of sampling")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(Reseeding)
        if not run.info.steps:
            raise NotApplicable("no training step was seen")
        if run.info.steps < self.steps.value:
            raise NotEnoughEvidence(f"{run.info.steps} of {self.steps.value:.0f} steps")
        told = [
            r
            for r in found
            if r.steps >= max(self.steps.value, self.share.value * (run.info.steps - 1))
            and r.drawn >= self.drawn.value * (r.steps - 1)
        ]
        if told:
            first = max(told, key=lambda r: (r.steps, r.calls))
            yield self._finding(run, first, self._one_batch(run))

    def _one_batch(self, run: Run) -> bool:
        """All training inputs that were seen are equal."""
        batches = [b for b in run.batches if b.training and not b.requires_grad]
        several = {(b.root, b.argument): {o.digest for o in batches if (o.root, o.argument) == (b.root, b.argument)}
                   for b in batches}  # fmt: skip
        return len({b.step for b in batches}) >= self.equal.value and all(len(d) == 1 for d in several.values())

    @staticmethod
    def _finding(run: Run, r: Reseeding, one_batch: bool) -> Finding:
        proof = any(e.status == "confirmed" for e in run.experiments if e.question == "D22")
        often = f", {r.calls} times" if r.calls > 1.5 * r.steps else ""
        what = "every step trained on one and the same batch" if one_batch else "each step draws the same numbers"
        return Finding(
            f"The random generator of {r.generator} gets the seed {r.value} again in {r.steps} of {run.info.steps} "
            f"steps{often}, and numbers are drawn in between: {what}.",
            location=r.location,
            evidence={"generator": r.generator, "seed": r.value, "steps": r.steps, "calls": r.calls},
            severity=None if one_batch or proof else "warn",
        )
