"""D23: a dataset that changes its examples while it gives them."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.stored_examples import StoredExamples


@check(
    "D23",
    "examples-change-in-place",
    severity="error",
    evidence="X",
    needs=("datasets", "StoredExamples"),
    fix="Copy the example before it is changed: x = self.x[i].clone(), or .copy() of an array.",
    patch="loader:restored",
)
class ExamplesChangeInPlace(Check):
    """The dataset writes into the examples that it holds, so that they are others in every pass.

    ## What it checks
    Some rows of the floating-point arrays and tensors that a map-style dataset of the training keeps in its attributes
    are copied when its loader is first opened. When another pass begins, and at the end, they are compared with what
    the dataset holds now. Told where a tenth of them or more differ, and a line of the dataset's `__getitem__` (or of
    what it calls) writes into what was taken out of `self` by an index.
    ## Why it matters
    `x = self.x[i]` is a view, not a copy. `x -= mean; x /= std` normalizes the stored data again in each pass, until
    all of them are the same number; noise and masks add up. The first epoch looks right.
    ## How to fix
    `x = (self.x[i] - self.mean) / self.std`, which makes a new array; or `.clone()`, `.copy()` first.
    ## Source
    NumPy's and PyTorch's documentation of views: basic indexing shares memory.
    ## Known false alarms
    A dataset that is to be changed by reading it. Memory banks, replay buffers and pseudo-labels, which are written by
    other methods, are not flagged, nor are arrays of one value that are filled when an example is first asked for (a
    cache); with workers each has its own copy, and nothing is seen.
    """

    share = Param(0.1, "of the copied rows: one row may be changed by hand")
    rows = Param(8, "copied rows: fewer are no data set")

    def __call__(self, run: Run) -> Iterator[Finding]:
        trained = {d.source: d for d in run.datasets if d.trained}
        if not trained:
            raise NotApplicable("no DataLoader feeds the training")
        if run.in_regime("reinforcement"):
            raise NotApplicable("experience is replaced on purpose")
        if not run.info.steps:
            raise NotEnoughEvidence("no training step was seen")
        for s in run.recorded(StoredExamples):
            told = s.source in trained and s.location is not None and s.rows >= self.rows.value
            if not told or not s.before or s.changed < self.share.value * s.rows:
                continue
            yield Finding(
                f"The dataset writes into the examples that it holds: of {s.rows} rows of `{s.field}` {s.changed} are "
                f"others than before the training (standard deviation {s.before:.3g}, now {s.after:.3g}).",
                location=s.location,
                evidence={"rows": s.rows, "changed": s.changed, "before": s.before, "after": s.after},
                onset_step=s.step,
            )
