"""D01: NaN, infinity or a wild outlier in what the model is fed with."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import line_of
from flightcheck.checks.data._stand_ins import numbers_apart
from flightcheck.recording.batches import Batch
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median


@check(
    "D01",
    "non-finite-or-extreme-input",
    severity="critical",
    evidence="X",
    needs=("batches", "loss_calls"),
    fix="Drop or impute these examples before they reach the model.",
)
class NonFiniteOrExtremeInput(Check):
    """NaN or infinity in the inputs or targets.

    ## What it checks
    Inputs and targets of training steps that hold NaN or infinity although everything was finite before: critical if
    the loss broke at that step, information if it stayed finite (the model masks them). Also a batch whose largest
    value is 10000 times that of the usual batch (information).
    And columns of the training data whose lowest or highest number occurs again and again (in one of 500 rows or
    more, in a fifth of them at most), farther from all others than these lie from each other: a warning, where
    evaluations are better by a third in a trial in which the model is given the mean of the others instead.
    ## Why it matters
    One NaN in one example turns every weight into NaN in one step; nothing after it can be trusted.
    ## How to fix
    Drop or impute the examples (`torch.nan_to_num`, `~torch.isnan(x).any(1)`) where the data are prepared.
    ## Source
    IEEE 754: NaN propagates. UMLAUT and DeepLocalize check the same.
    ## Known false alarms
    A number that stands apart may be a value, a cap for example: then the trial is no better. NaN given on purpose
    together with a mask: the loss stays finite, and the finding is information only.
    """

    batches = Param(3, "a pass needs more than one look at the data")
    outlier = Param(1e4, "a batch maximum so far above the median batch is a decimal or sentinel error, not a tail")

    def __call__(self, run: Run) -> Iterator[Finding]:
        yield from numbers_apart(run)
        inputs = [b for b in run.batches if b.training and b.dtype.startswith(("float", "bfloat"))]
        targets = [c for c in run.training_calls() if c.target_dtype.startswith(("float", "bfloat"))]
        broken = self._losses(run)
        first_break = min((s for s, finite in broken.items() if not finite), default=math.inf)
        found = False
        bad = [b for b in inputs if b.nonfinite and not b.requires_grad and b.step <= first_break]
        if bad:
            found = True
            yield self._of_inputs(bad, inputs, broken)
        for record in run.non_finite:
            if record.where == "input" and not found:
                found = True
                same = next((b for b in inputs if b.step == record.step), None)
                yield Finding(
                    f"The input {record.name!r} of step {record.step} holds NaN or infinity"
                    + (f" (examples {record.detail['rows']} of the batch)." if record.detail.get("rows") else "."),
                    location=record.location or (line_of(same) if same else None),
                    evidence=dict(record.detail),
                    onset_step=record.step,
                    patch="inputs:finite",
                )
        wrong = [c for c in targets if not math.isfinite(c.target_mean) and c.step <= first_break]
        if wrong and not bad:
            found = True
            yield self._of_targets(run, wrong, targets, broken)
        if not found:
            if len(inputs) + len(targets) == 0 and run.batches:
                return  # only ids
            if len(inputs) + len(targets) < self.batches.value:
                raise NotEnoughEvidence(f"{len(inputs)} of {self.batches.value:.0f} observed batches")
            yield from self._outliers(inputs)

    def _losses(self, run: Run) -> dict[int, bool]:
        """Whether the loss of a step was finite."""
        known = {c.step: c.value is not None and math.isfinite(c.value) for c in run.training_calls()}
        try:
            series = run.series(LOSS)
        except NotEnoughEvidence:
            return known
        for step, value in zip(series.steps, series.values):
            known[int(step)] = known.get(int(step), True) and math.isfinite(float(value))
        return known

    def _of_inputs(self, bad: list[Batch], inputs: list[Batch], finite: dict[int, bool]) -> Finding:
        first = bad[0]
        seen = sum(b.root == first.root and b.argument == first.argument for b in inputs)
        fine = [finite[b.step] for b in bad if b.step in finite]
        masked = bool(fine) and all(fine)
        return Finding(
            f"The input {first.argument!r} of step {first.step} holds {first.nonfinite} NaN or infinite values "
            f"({len(bad)} of {seen} observed batches do)"
            + (", but the loss stayed finite." if masked else ", and the loss with it."),
            location=line_of(first),
            patch="" if masked else "inputs:finite",
            evidence={"values": first.nonfinite, "batches": len(bad), "of": seen, "shape": first.shape},
            onset_step=first.step,
            severity="info" if masked else None if fine else "warn",
        )

    def _of_targets(self, run: Run, wrong: list[LossCall], targets: list[LossCall], finite: dict[int, bool]) -> Finding:
        first = wrong[0]
        site = run.site(first)
        fine = [finite[c.step] for c in wrong if c.step in finite]
        masked = bool(fine) and all(fine)
        return Finding(
            f"The target of {site.function} holds NaN or infinity since step {first.step} "
            f"({len(wrong)} of {len(targets)} observed calls)" + (", but the loss stayed finite." if masked else "."),
            location=site.target_origin or site.location,
            patch="" if masked else "targets:finite",
            evidence={"calls": len(wrong), "of": len(targets)},
            onset_step=first.step,
            severity="info" if masked else None,
        )

    def _outliers(self, inputs: list[Batch]) -> Iterator[Finding]:
        for key in sorted({(b.root, b.argument) for b in inputs}):
            here = [b for b in inputs if (b.root, b.argument) == key and not b.nonfinite and not b.requires_grad]
            sizes = np.array([max(abs(b.minimum), abs(b.maximum)) for b in here])
            if len(here) < 8 or not median(sizes) > 0:
                continue
            worst = int(np.argmax(sizes))
            if sizes[worst] > self.outlier.value * median(sizes):
                yield Finding(
                    f"A batch of step {here[worst].step} holds the value {sizes[worst]:.3g}; the largest of a usual "
                    f"batch is {median(sizes):.3g} (limit: {self.outlier.value:.0f} times).",
                    location=line_of(here[worst]),
                    evidence={"value": float(sizes[worst]), "usual": median(sizes)},
                    onset_step=here[worst].step,
                    severity="info",
                )
