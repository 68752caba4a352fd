"""T09: a metric that does not count what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss.l07_shape_broadcast import ON_PURPOSE, doubled_axis
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import Comparison

IN_STORED_ORDER = "visits:stored"
"""The patch under which evaluations visit the examples of shuffled loaders in their stored order."""
LOGIT_LOSSES = ("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss", "soft_margin_loss")


@check(
    "T09",
    "metric-wrong",
    severity="error",
    evidence="X",
    needs=("comparisons", "loss_calls"),
    fix="Compare predictions and labels of one shape, and cut probabilities at 0.5 but logits at 0.",
)
class MetricWrong(Check):
    """The accuracy is counted over all pairs, by cutting logits at 0.5, or against the labels of other examples.

    ## What it checks
    Lines outside the model that compare tensors: `==` between shapes such as (N, 1) and (N,), which broadcasts to
    N x N; and a threshold of 0.5 (or rounding) on the very output of a model whose loss takes logits, where that leaves
    [0, 1].
    And an evaluation that takes whole passes over a shuffled loader, where a trial shows that its number depends on the
    order: the same training, whose evaluations visit the examples in the stored order, prints a clearly better one.
    Predictions in the order of the loader are then compared with targets in that of the data.
    ## Why it matters
    The number is plausible and wrong: over all pairs it is chance, with logits at 0.5 it counts only what is more than
    62 % sure. The model is then chosen, and stopped, by noise.
    ## How to fix
    `prediction.squeeze(-1) == labels` after `assert prediction.shape == labels.shape`; `(logits > 0)` or
    `(logits.sigmoid() > 0.5)`.
    ## Source
    PyTorch's broadcasting rules; Karpathy, A Recipe for Training Neural Networks (trust in the evaluation).
    ## Known false alarms
    Tables of all pairs on purpose are recognized: an axis inserted in the line, two views of one tensor, a count 0, 1,
    2 as one side. Thresholds other than about a half are not judged, nor metrics computed with other libraries. That an
    evaluation is shuffled says nothing by itself, nor does a number that depends on which examples share a batch.
    """

    axis = Param(2, "an axis of one element broadcasts without harm")
    lowest = Param(0.4, "thresholds near a half are meant for probabilities, others may be chosen")
    highest = Param(0.6, "as far above a half as the lowest is below")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.info.steps and not run.info.backwards:
            raise NotApplicable("no training step was seen")
        yield from self._of_other_examples(run)
        if not run.comparisons and not run.evaluations and not run.loss_calls:
            raise NotEnoughEvidence("no metric was seen being computed")
        for comparison in run.comparisons:
            if comparison.threshold is not None:
                yield from self._cut(run, comparison)
            elif comparison.operation in ("==", "!=") and self._all_pairs(comparison):
                left, right = tuple(comparison.left_shape), tuple(comparison.right_shape)
                yield Finding(
                    f"'{comparison.operation}' compares shapes {left} and {right}: broadcasting makes every "
                    "prediction meet every label, and the result is no accuracy.",
                    location=comparison.location,
                    evidence={"left_shape": list(left), "right_shape": list(right)},
                    onset_step=comparison.step,
                    fix=f"Give both the shape {min(left, right, key=len)}, for example with squeeze(-1).",
                    patch=_at(comparison, "align") if math.prod(left) == math.prod(right) else "",
                )

    @staticmethod
    def _of_other_examples(run: Run) -> Iterator[Finding]:
        proof = [e for e in run.experiments if (e.question, e.patch, e.status) == ("T09", IN_STORED_ORDER, "confirmed")]
        loaders = {i.index: i for i in run.loaders}
        for shuffled in evaluated_at_random(run)[:1] if proof else ():
            before, after = proof[0].before or 0.0, proof[0].after or 0.0
            number = proof[0].metric.partition(" ")[2]
            yield Finding(
                f"The evaluation visits its examples in random order, and {number} depends on it: "
                f"{before:.4g}, but {after:.4g} in the stored order. Predictions meet the targets of other examples.",
                location=loaders[shuffled.loader].location if shuffled.loader in loaders else None,
                evidence={"shuffled": before, "stored": after, "examples": shuffled.examples},
                fix="shuffle=False in the loader of the evaluation; or take the targets from the loader, too.",
                patch=IN_STORED_ORDER,
            )

    def _all_pairs(self, comparison: Comparison) -> bool:
        code = comparison.location.code if comparison.location else ""
        on_purpose = comparison.same_data or comparison.counting or ON_PURPOSE.search(code)
        return not on_purpose and doubled_axis(comparison.left_shape, comparison.right_shape) >= self.axis.value

    def _cut(self, run: Run, comparison: Comparison) -> Iterator[Finding]:
        threshold, low, high = comparison.threshold or 0.0, comparison.minimum or 0.0, comparison.maximum or 0.0
        if not self.lowest.value <= threshold <= self.highest.value or (low >= 0 and high <= 1):
            return
        size = math.prod(comparison.left_shape[1:])
        rounds = comparison.operation == "round"
        losses = ("binary_cross_entropy_with_logits",) if rounds else LOGIT_LOSSES
        if all(math.prod(c.input_shape[1:]) != size for c in run.training_calls(*losses)):
            return
        cut = "round" if rounds else f"{comparison.operation} {threshold:g}"
        sure = 1 / (1 + math.exp(-threshold))
        yield Finding(
            f"'{cut}' cuts the model's output, which reaches from {low:.3g} to "
            f"{high:.3g}: these are logits, and {threshold:g} is a probability of {sure:.0%}.",
            location=comparison.location,
            evidence={"threshold": threshold, "minimum": low, "maximum": high},
            onset_step=comparison.step,
            fix="Round their sigmoid, or ask for logits > 0."
            if rounds
            else "Cut the logits at 0, or their sigmoid at 0.5.",
            patch=_at(comparison, "cut"),
        )


def evaluated_at_random(run: Run) -> list[DatasetInfo]:
    """Data sets that were evaluated by whole passes in random order; first those that nothing is trained on."""
    found = [
        d for d in run.datasets if d.evaluated and d.passes and d.sampler in ("RandomSampler", "SubsetRandomSampler")
    ]
    return sorted(found, key=lambda d: d.trained)


def _at(comparison: Comparison, how: str) -> str:
    """The patch that counts right at the line of a comparison."""
    at = comparison.location
    return f"metric:{how}:{Path(at.file).name}:{at.line}" if at is not None else ""
