"""T11: a training that gets slower and larger with every step, or that waits for its data."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run


@check(
    "T11",
    "stalled-or-starved",
    severity="warn",
    evidence="X",
    needs=("resources",),
    fix="Keep numbers, not tensors with a graph: total += loss.item(), or loss.detach() on a GPU.",
)
class StalledOrStarved(Check):
    """The graphs of past steps are kept in memory, or the training waits for its data most of the time.

    ## What it checks
    Of the losses on which `backward` was called: how many graphs the script still holds, many steps later.
    Information: the share of the time that is spent waiting for the next batch of a DataLoader.
    ## Why it matters
    `total += loss` keeps the graph of every step: memory grows until the process is killed, often hours later. A model
    that waits for its data pays for an accelerator and uses a part of it.
    ## How to fix
    `loss.item()` or `loss.detach()`; more workers, `pin_memory`, or decoding ahead of time.
    ## Source
    PyTorch FAQ: "Don't accumulate history across your training loop"; SageMaker Debugger, StalledTrainingRule.
    ## Known false alarms
    A sum of losses that is used for one backward is not meant: only losses after their own backward are counted. Those
    of a closure (L-BFGS tries dozens in a step) are left out.
    Waiting is judged only where batches take long in absolute terms; validation is no waiting.
    """

    kept = Param(50, "graphs: a window of losses for a moving average of a hundred is kept on purpose, but as numbers")
    share = Param(0.5, "of the time between batches: the larger part is waiting")
    seconds = Param(0.05, "per batch: below, the batch is cheap and only the model is small")
    batches = Param(20, "the first batches pay for caches and workers")

    def __call__(self, run: Run) -> Iterator[Finding]:
        use = run.resources
        if use is None or (not use.graphs and not use.batches):
            raise NotApplicable("no backward and no DataLoader was seen")
        if use.graphs_kept >= self.kept.value:
            yield Finding(
                f"The graphs of {use.graphs_kept} past losses are still in memory after their backward, and more come "
                "with every step.",
                location=use.graphs_kept_location or run.plan.backward_location,
                evidence={"kept": use.graphs_kept, "followed": use.graphs},
            )
        starved = use.batches >= self.batches.value and use.batch_seconds > self.share.value * use.seconds
        if starved and use.batch_seconds > self.seconds.value * use.batches:
            loader = next((x for x in run.loaders if x.used_in_training), None)
            yield Finding(
                f"{use.batch_seconds / use.seconds:.0%} of the time is spent waiting for batches "
                f"({1000 * use.batch_seconds / use.batches:.0f} ms each).",
                location=loader.location if loader else None,
                evidence={"batches": use.batches, "waited": use.batch_seconds, "seconds": use.seconds},
                severity="info",
                fix="Give the DataLoader num_workers, or prepare the data ahead of the training.",
            )
        elif use.graphs_kept < self.kept.value and use.graphs <= self.kept.value and use.batches < self.batches.value:
            raise NotEnoughEvidence(f"only {use.graphs} backward passes were seen")
