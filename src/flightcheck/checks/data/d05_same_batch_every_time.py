"""D05: every step trains on the same batch although there are more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.batches import Batch
from flightcheck.recording.loop_ends import LoopEnd
from flightcheck.recording.picked_rows import IdleLoop
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.recording.run import Run


@check(
    "D05",
    "same-batch-every-time",
    severity="error",
    evidence="X",
    needs=("batches", "loaders"),
    fix="Iterate over the loader (for x, y in loader) instead of taking its first batch in every step.",
)
class SameBatchEveryTime(Check):
    """Every training step sees the same batch although there are more.

    ## What it checks
    All recorded training inputs are equal, bit by bit, although batches were fetched throughout the training from a
    loader that has more than one per pass, and the inputs have the loader's batch size. Or the loop over the epochs
    lies inside of the loop over a loader, so that each batch comes many times in a row. A fresh iterator in every
    step that draws at random is legal, and information only. Without a loader: all inputs are equal, and the loop
    around the step counts the starts of batches (`range(0, n, size)`), but nothing in it uses the count.
    ## Why it matters
    `next(iter(loader))` starts a new pass each time: without shuffling it always returns the first batch. The model
    memorizes a few examples and the rest of the data is never used.
    ## How to fix
    `for x, y in loader:`, or keep one iterator outside the loop and call `next` on that. By hand:
    `x[start : start + size]`.
    ## Source
    Python's iterator protocol: `iter(loader)` is a new pass.
    ## Known false alarms
    None known. Full-batch training, one batch taken once to overfit it on purpose, constant inputs beside varying
    ones, and inputs that are not the loader's batch are not flagged.
    """

    steps = Param(12, "a dozen equal batches in a row are no coincidence of sampling")
    per_step = Param(0.5, "an accumulating or alternating training fetches at least every other step")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = list(self._inside_out(run))
        yield from found
        if found:
            return
        batches = [b for b in run.batches if b.training and not b.requires_grad]
        steps = sorted({b.step for b in batches})
        if len(steps) < self.steps.value:
            raise NotEnoughEvidence(f"inputs of {len(steps)} of {self.steps.value:.0f} steps")
        loaders = [ld for ld in run.loaders if ld.used_in_training]
        if not loaders:
            idle = run.recorded(IdleLoop)
            idle = [i for i in idle if not i.size.isdigit() or int(i.size) in batches[0].shape[:2]]
            if idle and self._all_equal(batches, steps):
                yield self._idle(idle[0], len(steps), batches[0])
                return
            raise NotApplicable("no DataLoader feeds the training: the same batch may be all there is")
        several = [ld for ld in loaders if (ld.length or 0) > 1 and ld.batches >= self.per_step.value * len(steps)]
        restarted = [ld for ld in several if ld.batches <= 1.2 * ld.iterators]
        if self._all_equal(batches, steps):
            for loader in several:
                if self._from(loader, batches):
                    yield self._finding(loader, batches, len(steps), loader in restarted)
                    return
        elif restarted and len(loaders) == 1 and restarted[0].iterators >= run.info.steps > 0:
            loader = restarted[0]
            yield Finding(
                f"A new iterator over the loader is made for every batch ({loader.iterators} for {loader.batches} "
                "batches): the data are sampled with replacement, and no pass is ever completed.",
                location=loader.iterator_location or loader.location,
                evidence={"iterators": loader.iterators, "batches": loader.batches},
                severity="info",
            )

    @staticmethod
    def _idle(loop: IdleLoop, steps: int, first: Batch) -> Finding:
        at = loop.cut or first.order_origin or loop.location
        return Finding(
            f"All {steps} observed steps trained on the same batch: `{loop.variable}`, which counts the starts of the "
            f"batches in steps of {loop.size}, is used nowhere in its loop.",
            location=at,
            evidence={"steps": steps, "variable": loop.variable, "loop": str(loop.location)},
            onset_step=first.step,
            fix=f"Begin each batch at its own row: x[{loop.variable} : {loop.variable} + {loop.size}].",
            patch=f"source:begin:{PurePath(loop.location.file).name}:{loop.location.line}" if loop.cut else "",
        )

    def _inside_out(self, run: Run) -> Iterator[Finding]:
        """The loop over the epochs lies inside of the loop over the batches, which goes round once."""
        for loops in run.recorded(LoopEnd):
            over = [x for x in run.loaders if x.used_in_training and x.iterator_location and x.iterators == 1]
            over = [x for x in over if loops.location and _same_line(x.iterator_location, loops.location)]
            if loops.kind == "inside-out" and over and run.info.steps >= self.steps.value:
                yield Finding(
                    f"The loop over {loops.rounds} epochs lies inside of the loop over the batches: each of the "
                    f"{over[0].length} batches is trained on {loops.rounds} times in a row, and then never again.",
                    location=loops.loop,
                    evidence={"epochs": loops.rounds, "batches": over[0].length},
                    fix="Exchange the two loops: for epoch in range(epochs): for batch in loader.",
                )
                return

    def _all_equal(self, batches: list[Batch], steps: list[int]) -> bool:
        """Every step had exactly the inputs of the first one, in each root and argument."""
        at: dict[int, set[tuple[int, str, str]]] = {s: set() for s in steps}
        for b in batches:
            at[b.step].add((b.root, b.argument, b.digest))
        full = [at[s] for s in steps[:-1]]  # the last step may be cut off
        return all(s == full[0] for s in full)

    def _from(self, loader: LoaderInfo, batches: list[Batch]) -> bool:
        """An input has the size of the loader's batches."""
        if loader.batch_size is None:
            return False
        return any(loader.batch_size in (b.shape[:1] if _is_table(b) else b.shape[:2]) for b in batches)

    def _finding(self, loader: LoaderInfo, batches: list[Batch], steps: int, restarted: bool) -> Finding:
        first = batches[0]
        why = (
            f": a new iterator was made {loader.iterators} times, and each begins with the first batch"
            if restarted
            else f", although {loader.batches} batches were fetched"
        )
        return Finding(
            f"All {steps} observed steps trained on the same batch of {loader.batch_size} examples; "
            f"the loader has {loader.length}{why}.",
            location=(loader.iterator_location if restarted else first.location) or loader.location,
            evidence={"steps": steps, "batches_per_pass": loader.length, "iterators": loader.iterators},
            onset_step=first.step,
            patch="loader:continue" if restarted else "",
            fix="" if restarted else "Feed the model with the batch that the loop fetches, not with an earlier one.",
        )


def _is_table(batch: Batch) -> bool:
    """Rows of numbers: the second axis is that of the features, and no batch of sequences, time first."""
    return len(batch.shape) == 2 and batch.dtype.startswith(("float", "bfloat"))


def _same_line(one: Location | None, other: Location | None) -> bool:
    return one is not None and other is not None and (one.file, one.line) == (other.file, other.line)
