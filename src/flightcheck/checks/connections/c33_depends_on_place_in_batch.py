"""C33: an output that depends on the place of its example in the batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C33",
    "depends-on-place-in-batch",
    severity="error",
    evidence="B",
    needs=("Probe",),
    fix="Cut position encodings along the axis of time: pe[:, :x.size(1)] where batches come first.",
)
class DependsOnPlaceInBatch(Check):
    """In eval mode, examples that change places in their batch get other outputs.

    ## What it checks
    In a trial, on a copy of the model in eval mode and float64: all rows of all inputs are rotated by 1, 2, 3 and half
    of the batch. The outputs must be the same ones, rotated (relative limit 1e-7); each rotation must move three
    quarters of the rows. Asked only where outputs do not depend on the other examples (C03). The line is that of the
    first operation whose result does not follow the examples.
    ## Why it matters
    A position encoding that is cut by the batch (``x + pe[:x.size(0)]`` with batches first) says nothing of the
    position in the sequence: the same to all tokens, something else to each example. The model learns to put up with
    it, and never knows the order of its tokens.
    ## How to fix
    ``x + pe[:, :x.size(1)]`` with ``pe`` of shape (1, length, features); or time first, as the encoding expects it.
    ## Source
    PyTorch's tutorial on sequence-to-sequence modeling, whose encoding takes time first; catalogue C19.
    ## Known false alarms
    Models that treat their rows differently on purpose, by a rule that no rotation keeps. Halves of a batch with
    different tasks, ensembles that lie in one batch, models with random numbers of their own, graphs and full batches
    are recognized.
    """

    limit = Param(1e-7, "as in C03: far above float64 noise, far below what an encoding moves")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement", "contrastive"):
            raise NotApplicable("the rows of a batch belong together in this kind of training")
        found = run.probe("leaks").result
        if "place" not in found:
            raise NotEnoughEvidence("the model could not be asked: one output per example, laid out by example")
        moved = float(found["place"])
        if moved <= self.limit.value:
            return
        root = next((r for r in run.roots if r.train_calls), None)
        line = Location(**found["place_at"]) if "place_at" in found else root.location if root else None
        yield Finding(
            f"Outputs move by {moved:.2g} of their size when the examples of a batch change places, in eval mode: they "
            "depend on the row that an example stands in.",
            location=line,
            evidence={"moved": moved, "batch": found.get("batch")},
            patch=f"place:{Path(line.file).name}:{line.line}" if line is not None and "place_at" in found else "",
        )
