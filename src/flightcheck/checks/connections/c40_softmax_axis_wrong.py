"""C40: a softmax over another axis than the one over which its weights are added up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import own_line
from flightcheck.recording.normalized_axes import NormalizedAxis
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C40",
    "softmax-axis-wrong",
    severity="error",
    evidence="B",
    needs=("NormalizedAxis",),
    fix="Normalize over the axis that the product with the values adds up: the keys, softmax(scores, dim=-1).",
)
class SoftmaxAxisWrong(Check):
    """A softmax inside of a model is over another axis than the one over which its weights are added up.

    ## What it checks
    In the first steps, each matrix product of which one factor comes out of a softmax (with dropout, views and
    transposes between) whose scores are themselves a product of two activations, with a scale or a mask: attention. The
    product adds up over one axis of the weights, and the softmax must be over the same. And a softmax over an axis that
    has one place in all calls, which is 1 whatever it is given. And a similarity of vectors that are normalized over
    the batch, so that they have no length of 1. Each in all calls of the line.
    ## Why it matters
    The weights of a query do not sum to 1: a query may get nothing of any key, or a bit of all, and queries compete
    for keys. Of a softmax over one place nothing behind it ever gets a gradient. Nothing fails, as the shapes fit.
    ## How to fix
    `softmax(scores, dim=-1)` for scores of the shape (batch, queries, keys); `dim=1` for one score for each of
    (batch, time, 1) positions; `F.normalize(z, dim=1)` for rows of vectors.
    ## Source
    Vaswani et al. 2017 (a weighted sum of the values); pytorch.org, `torch.nn.functional.softmax` (without `dim` the
    axis is guessed).
    ## Known false alarms
    Weights that are normalized once more (slot attention), two softmaxes multiplied with each other, assignments to
    clusters, whose scores come from a layer, and groups that are found in rounds (routing between capsules, unrolled
    k-means) are left out.
    """

    calls = Param(3, "of the line: a sequence of one position is possible once, as the first of a growing one")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(NormalizedAxis)
        if not run.info.steps and not found:
            raise NotApplicable("no training step was seen")
        always = [f for f in found if f.wrong == f.calls]
        few = [f for f in always if f.calls < self.calls.value]
        if few and len(few) == len(always) and run.info.steps < self.calls.value:
            raise NotEnoughEvidence(f"{few[0].calls} of {self.calls.value:.0f} calls of the line")
        for f in always:
            if f.calls >= self.calls.value and not self._is_output(run, f):
                yield self._finding(run, f)

    @staticmethod
    def _is_output(run: Run, f: NormalizedAxis) -> bool:
        """One output through a softmax is a fault of output and loss, which L12 and L03 tell."""
        at = [c.input_module_location for c in run.training_calls()] + [s.input_location for s in run.loss_sites]
        return f.kind == "single" and (len(f.shape) == 2 or f.location in at or f.module < 0)

    @staticmethod
    def _finding(run: Run, f: NormalizedAxis) -> Finding:
        shape, made = tuple(f.shape), run.module(f.module) if f.module >= 0 else None
        alone = made is not None and made.type in ("Softmax", "LogSoftmax")
        at: Location | None = own_line(run, made) if alone and made is not None else f.location
        right = f.added
        if f.kind == "product":
            text = (
                f"The softmax over axis {f.axis} of the scores {shape} makes weights that sum to 1 over that axis, and "
                f"the product with them adds up over axis {f.added} ({f.wrong} of {f.calls} calls): no weighted mean."
            )
            fix = f"softmax(…, dim={f.added - len(shape)})"
        elif f.kind == "vectors":
            text = (
                f"Vectors {shape} are normalized over axis 0, the batch, and multiplied with each other over axis 1 "
                f"({f.wrong} of {f.calls} calls): these are no cosines, and depend on which examples stand together."
            )
            fix = "F.normalize(…, dim=1)"
        else:
            right = max((i for i, size in enumerate(shape) if size > 1 and i), default=-1)
            text = (
                f"The softmax over axis {f.axis} of {shape} is over one place: it is 1 in all {f.calls} calls, "
                "whatever it is given, and what computes the scores never gets a gradient."
            )
            fix = f"softmax(…, dim={right})" if right >= 0 else "a softmax over the axis of the positions"
        tried = f.kind != "vectors" and f.location is not None and right >= 0
        place = f"{PurePath(f.location.file).name}:{f.location.line}" if f.location is not None else ""
        return Finding(
            text,
            location=at,
            module=made.path if made is not None else "",
            evidence={"axis": f.axis, "added": f.added, "shape": f.shape, "product": str(f.product_location)},
            onset_step=f.step,
            fix=f"Write {fix}.",
            patch=f"axes:softmax={right - len(shape)}:{place}" if tried else "",
        )
