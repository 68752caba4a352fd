"""P39: a loop of the training that ends before its work is done."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.loop_ends import LoopEnd
from flightcheck.recording.records import LoaderInfo
from flightcheck.recording.run import Run


@check(
    "P39",
    "loop-left-too-soon",
    severity="error",
    evidence="X",
    needs=("plan",),
    fix="Move the return or break out of the loop, behind its last round.",
)
class LoopLeftTooSoon(Check):
    """A loop over batches or epochs is left in its first round, or an early stop ends what still gets better.

    ## What it checks
    Whether the block of a loop around the training step itself ends with `return` or `break`, and nothing lets it go
    round again: by the source, and by what was seen (one batch of each pass over the loader, or one round of those that
    the loop counts). In a finished training that a counter of epochs without progress can stop (early stopping):
    whether it ended in the first half of the planned epochs although each evaluation was better than the one before.
    ## Why it matters
    Most of the data, or of the training, is left out, and no error says so: the loss is that of a training that was cut
    short.
    ## How to fix
    Indent the statement one level less. A counter of early stopping starts from zero at each improvement, and the best
    value begins with `float('inf')` for losses, `-float('inf')` for accuracies.
    ## Source
    A frequent mistake of indentation on the PyTorch forum. The rule is our own.
    ## Known false alarms
    A loop that only takes the first batch and is left before the training step is none. A break for a sanity check on
    one batch is reported.
    """

    batches = Param(4, "batches of a pass: with fewer, the first one is a good part of the data")
    passes = Param(2, "passes over the loader: one alone may have been cut by the end of the watch")
    evaluations = Param(4, "evaluations, each better than the one before: fewer happen by chance")
    share = Param(0.5, "of the planned epochs: a stop in the second half loses less")

    def __call__(self, run: Run) -> Iterator[Finding]:
        ends = [e for e in run.recorded(LoopEnd) if e.kind in ("at-once", "early")]
        if not ends:
            raise NotApplicable("no statement leaves a loop around the training step")
        if not run.info.steps:
            raise NotApplicable("nothing was trained")
        undecided = ""
        for end in ends:
            if end.kind == "at-once":
                yield from self._at_once(run, end)
            elif run.info.ended != "finished":
                undecided = "the training was not watched to its end"
            else:
                yield from self._stopped(run, end)
        if undecided:
            raise NotEnoughEvidence(undecided)

    def _at_once(self, run: Run, end: LoopEnd) -> Iterator[Finding]:
        loop = f"The loop in line {end.loop.line}" if end.loop else "A loop around the training step"
        cut = [x for x in run.loaders if self._cut_off(x)]
        if end.rounds is None and cut:
            what = f"of the {cut[0].length} batches of each pass only the first one is used"
        elif end.rounds is not None and end.rounds > 1:
            what = f"of its {end.rounds} rounds only one is made"
        else:
            return
        yield Finding(
            f"{loop} is left in its first round by this {end.word}: {what}.",
            location=end.location,
            evidence={"rounds": end.rounds, "batches": cut[0].length if cut else None, "steps": run.info.steps},
            fix=f"Move the {end.word} behind the loop (one level less of indentation)."
            if end.word == "return"
            else "Remove the break, or put it under the condition that is meant.",
            patch=f"source:out:{PurePath(end.location.file).name}:{end.location.line}" if end.location else "",
        )

    def _cut_off(self, loader: LoaderInfo) -> bool:
        """Each pass over it ended after one batch."""
        long = (loader.length or 0) >= self.batches.value
        return loader.used_in_training and long and self.passes.value <= loader.iterators >= loader.batches

    def _stopped(self, run: Run, end: LoopEnd) -> Iterator[Finding]:
        epochs, length = run.plan.epochs, run.plan.steps_per_epoch
        if not epochs or not length or run.info.steps >= self.share.value * epochs * length:
            return
        losses = [e.loss_value for e in _evaluations(run) if e.loss_value is not None]
        falls = all(b < a for a, b in pairwise(losses))
        if len(losses) < self.evaluations.value or not falls:
            return
        yield Finding(
            f"The training is stopped here after {run.info.steps / length:.0f} of {epochs} epochs, although each of "
            f"{len(losses)} evaluations was better than the one before (loss {losses[0]:.3g} → {losses[-1]:.3g}).",
            location=end.location,
            evidence={"steps": run.info.steps, "epochs": epochs, "losses": losses[:8]},
            onset_step=run.info.steps,
            fix="Let the best value begin with float('inf') for a loss (-float('inf') for an accuracy), compare in the "
            "direction of the metric, and set the counter to 0 at each improvement.",
        )


def _evaluations(run: Run) -> list[Evaluation]:
    """Those of the line that evaluates most often."""
    lines = [e.location for e in run.evaluations]
    usual = max(set(lines), key=lines.count, default=None)
    return [e for e in run.evaluations if e.location == usual]
