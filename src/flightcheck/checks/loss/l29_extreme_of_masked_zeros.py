"""L29: a minimum or maximum that is always one of the zeros that a mask made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.masked_extremes import MaskedExtreme
from flightcheck.recording.run import Run


@check(
    "L29",
    "extreme-of-masked-zeros",
    severity="error",
    evidence="X",
    needs=("MaskedExtreme",),
    fix="values.masked_fill(~mask, float('inf')).min(dim), or float('-inf') before a maximum.",
)
class ExtremeOfMaskedZeros(Check):
    """A minimum or maximum is taken over values of which a mask made zeros, and it is always one of these zeros.

    ## What it checks
    In the first steps, minima and maxima over one axis of a product with a mask of zeros and ones, where gradients are
    on: rows in which the mask left some values and made zeros of others. Told where in every such row the zero lies
    beyond all values that the mask left: below all of them in a minimum, above all of them in a maximum.
    ## Why it matters
    Zero takes part in a minimum as any other number does. The nearest negative of a triplet loss, sought among
    distances of which those to the same class were set to zero, is at distance zero and has no gradient: nothing pushes
    the classes apart.
    ## How to fix
    `distances.masked_fill(~mask, float("inf")).min(dim=1)`; `float("-inf")` before a maximum.
    ## Source
    Hermans et al. 2017, section 2 (batch hard): the minimum is over the negatives alone.
    ## Known false alarms
    None known. A maximum over values that are never negative is right with zeros in it, and so is one in which a value
    that the mask left wins in some rows: silent.
    """

    calls = Param(3, "of the line: a first batch may be of one kind")
    rows = Param(16, "with values of both kinds: by chance all of a few may lie on one side of zero")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(MaskedExtreme)
        if not run.info.steps and not found:
            raise NotApplicable("no training step was seen")
        lost = [f for f in found if f.lost == f.rows]
        several = [f for f in lost if f.calls >= self.calls.value and f.rows >= self.rows.value]
        if lost and not several:
            raise NotEnoughEvidence(f"{lost[0].rows} rows in {lost[0].calls} calls of the line")
        for f in several:
            at = f.location
            yield Finding(
                f"The {'smallest' if f.operation == 'min' else 'largest'} value of each row is a zero that the mask "
                f"made, in all {f.rows} rows of {f.calls} calls: none that the mask leaves is ever chosen, and nothing "
                "here has a gradient.",
                location=at,
                evidence={"operation": f.operation, "rows": f.rows, "calls": f.calls, "masked": str(f.masked)},
                onset_step=f.step,
                patch=f"extreme:{PurePath(at.file).name}:{at.line}",
            )
