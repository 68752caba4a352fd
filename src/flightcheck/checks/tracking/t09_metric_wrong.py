"""T09: a metric that does not count what it says."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss.l07_shape_broadcast import ON_PURPOSE, doubled_axis
from flightcheck.checks.tracking._boxes import overlaps_of_no_corners
from flightcheck.checks.tracking._neighbours import labels_of_the_farthest
from flightcheck.checks.tracking._orders import of_other_examples
from flightcheck.checks.tracking._printed_shares import Divided, wrong_shares
from flightcheck.checks.tracking._target_scales import target_scales
from flightcheck.checks.tracking._uncleared_sums import sums_of_all_passes
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import Comparison
from flightcheck.recording.tallies import Tally

_OF_ONE_OUTPUT = ("argmax", "sigmoid")
_TARGETS_FIRST = ("r2_score", "explained_variance_score", "mean_absolute_percentage_error")
_DECISIONS = ([0, 1], [-1, 1])
"""A model of one binary feature gives two scores as well, but others."""
_OF_ORDERS = ("roc_auc_score", "average_precision_score")
_ORDERS = (">", ">=", "<", "<=", "round")
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
    """The number of an evaluation is over all pairs, of scores instead of classes, or of other examples' labels.

    ## What it checks
    Lines outside the model that compare tensors: `==`, or in an evaluation a difference or a loss, between shapes such
    as (N, 1) and (N,), which broadcasts to N x N; `==` between whole numbers and scores of which none is whole (`max`
    gives the values first); a threshold of 0.5 (or rounding) on the very output of a model whose loss takes logits,
    where that leaves [0, 1]. Of models with one output under a binary cross-entropy: `argmax` over the axis of one,
    which is 0 for every example; a second sigmoid on probabilities. In an evaluation: outputs on the scale of the
    training's targets beside targets that lie five times as far apart, or five standard deviations away (also
    in the errors of scikit-learn); functions of scikit-learn, such as `r2_score`, that are given the predictions first;
    `roc_auc_score` and `average_precision_score` of decisions (0 and 1, or -1 and 1)
    in the place of scores (a warning).

    Labels that are picked by the places of the largest distances (`topk` without `largest=False`); overlaps of boxes
    whose corners are taken from columns that are no corners: of true boxes the right edge lies left of the left one.

    A printed accuracy that is, in two or more evaluations and to its last digit, what was right over the number of
    something else (batches, another data set), or of all evaluations so far, or of the last batch alone.

    A sum that becomes 0 before two loops, is added to in the inner one, and in the outer one divided by the number of
    batches or examples of one round, or kept in a list of which the mean is taken: it holds all rounds before, too.

    And an evaluation that takes whole passes over a shuffled loader, or draws an order or sorts its examples itself,
    where a trial shows that its number depends on the order: the same training, whose evaluations visit the examples in
    the stored order, prints a clearly better one (or has clearly more answers right). Predictions in the one order are
    then compared with targets in the other (that of the data set, or of a second pass).
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
    2 as one side. Thresholds other than about a half are not judged, nor metrics computed with other libraries, nor an
    accuracy over fewer answers than were compared (those under a mask). That an evaluation is shuffled says nothing by
    itself, nor does a number that depends on which examples share a batch. Test targets from quite another range than
    the training's. Sums that are divided by a count of all rounds, by the time, or by a number that the script just
    sets (a budget) are left alone, and so are sums of sizes. A rule that knows yes and no only, scored beside a model
    by its area under the curve.
    """

    axis = Param(2, "an axis of one element broadcasts without harm")
    fractions = Param(0.05, "whole numbers among scores: some saturate, or are rounded by chance")
    apart = Param(5.0, "times the spread, or standard deviations: test targets of one kind are never so far off")
    answers = Param(30, "to one call: of a few examples the scores of a saturated model may all be 0 or 1")
    lowest = Param(0.4, "thresholds near a half are meant for probabilities, others may be chosen")
    highest = Param(0.6, "as far above a half as the lowest is below")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.info.steps and not run.info.backwards:
            raise NotApplicable("no training step was seen")
        yield from of_other_examples(run)
        shares = list(wrong_shares(run))
        yield from map(self._of_another_count, shares)
        sums = sums_of_all_passes(
            run, told={(at.file, at.line) for s in shares if (at := s.tally.location) is not None}
        )
        of_facts = [*labels_of_the_farthest(run), *overlaps_of_no_corners(run), *sums]
        yield from of_facts
        if not (of_facts or run.comparisons or run.evaluations or run.loss_calls or run.recorded(Tally)):
            raise NotEnoughEvidence("no metric was seen being computed")
        for comparison in run.comparisons:
            if comparison.operation in _OF_ORDERS:
                yield from self._of_decisions(comparison)
            elif comparison.threshold is not None:
                yield from self._cut(run, comparison)
            elif comparison.operation in _OF_ONE_OUTPUT:
                yield from self._of_one_output(run, comparison)
            elif comparison.made and comparison.data:
                yield from list(self._of_another_scale(run, comparison)) or self._exchanged(comparison)
            elif comparison.whole:
                yield from self._never_equal(comparison)
            elif comparison.operation not in _ORDERS and self._all_pairs(comparison):
                yield self._of_pairs(comparison)

    @staticmethod
    def _of_pairs(comparison: Comparison) -> Finding:
        left, right = tuple(comparison.left_shape), tuple(comparison.right_shape)
        counts = comparison.operation in ("==", "!=")
        return Finding(
            f"'{comparison.operation}' compares shapes {left} and {right}: broadcasting makes every prediction meet "
            f"every {'label' if counts else 'target'}, and the result is no {'accuracy' if counts else 'error'}.",
            location=comparison.location,
            evidence={"left_shape": list(left), "right_shape": list(right)},
            onset_step=comparison.step,
            fix=f"Give both the shape {min(left, right, key=len)}, for example with squeeze(-1).",
            patch=_at(comparison.location, "align") if math.prod(left) == math.prod(right) else "",
        )

    @staticmethod
    def _of_another_count(share: Divided) -> Finding:
        """An accuracy that is exactly what was right over something else."""
        tally = share.tally
        is_now = f"{share.name} is {share.printed:.4g}, and would be {share.right:.4g}"
        messages = {
            "kept": "The count of right answers goes on from one evaluation to the next, and what it is divided by "
            f"does not: {is_now}.",
            "last": f"The answers are compared behind the loop, for the last batch alone ({share.counted} of "
            f"{share.divisor:.0f} examples): {is_now} for that batch.",
            "divisor": f"The right ones of {share.counted} answers are divided by {share.divisor:.0f}: {is_now} "
            f"(the same divisor in {share.evaluations} {'evaluation' if share.evaluations == 1 else 'evaluations'}).",
        }
        fixes = {
            "kept": "Set the count to 0 at the start of each evaluation.",
            "last": "Compare the answers of each batch, in the loop.",
            "divisor": "Divide by how many answers were compared: total += labels.size(0) in the same loop.",
        }
        tried = tally.division is not None and bool(tally.numerator) and share.kind != "last"
        return Finding(
            messages[share.kind],
            location=(tally.divisor_location if share.kind == "divisor" else None) or tally.location,
            evidence={
                "kind": share.kind, "metric": share.name, "printed": share.printed, "counted": share.counted,
                "right": share.right, "divisor": share.divisor, "divided_by": tally.divisor,
            },
            onset_step=tally.step,
            fix=fixes[share.kind],
            patch=_share(tally) if tried else "",
        )  # fmt: skip

    def _never_equal(self, comparison: Comparison) -> Iterator[Finding]:
        """Scores where classes were meant: ``max`` gives values first, and positions second."""
        fractions, classes = sorted(comparison.whole)
        if fractions > self.fractions.value or classes < 1:
            return
        values = comparison.used_location is not None and comparison.used_location != comparison.location
        made = " (the values of this maximum, not their positions)" if values else ""
        yield Finding(
            f"One side of '{comparison.operation}' holds whole numbers only, the other one scores{made}: "
            f"{fractions:.1%} of them are whole, so hardly any can be equal.",
            location=comparison.location,
            evidence={"whole": comparison.whole, "calls": comparison.calls},
            onset_step=comparison.step,
            fix="Compare classes: scores.argmax(1), or the second of what max(scores, 1) returns.",
            patch=_at(comparison.used_location or comparison.location, "classes"),
        )

    def _of_another_scale(self, run: Run, comparison: Comparison) -> Iterator[Finding]:
        """The output is on the scale of the training targets, and what it is compared with on none of them."""
        if run.in_regime("reinforcement"):
            return  # an action is subtracted from what it acts on, and the targets of the training are values
        scales = list(target_scales(run))
        mean, std = comparison.data
        mine = [s for s in scales if s.holds(comparison.made[0], comparison.made[1])]
        if not mine or not all(s.is_far(mean, std, self.apart.value) for s in scales):
            return
        if any(_alike(comparison.data, b.mean, b.std) for b in run.batches if not b.training):
            return  # a reconstruction of unusual inputs
        scale = mine[0]
        factor = std / scale.std
        yield Finding(
            f"The model's output (mean {comparison.made[0]:.3g}, standard deviation {comparison.made[1]:.3g}) is on "
            f"the scale of the targets of the training ({scale.mean:.3g}, {scale.std:.3g}), but is compared here with "
            f"targets on another one ({mean:.3g}, {std:.3g}): this is no error of the predictions.",
            location=comparison.location,
            evidence={"output": comparison.made, "targets": comparison.data, "trained": [scale.mean, scale.std]},
            onset_step=comparison.step,
            fix="Scale the predictions back first (prediction * target_std + target_mean), or scale both alike.",
            patch=_at(comparison.location, f"scale={factor:.9g},{mean - factor * scale.mean:.9g}"),
        )

    def _of_decisions(self, comparison: Comparison) -> Iterator[Finding]:
        """Of functions that ask how scores order the examples: a threshold leaves no order but one step."""
        answers = comparison.right_shape[0]
        values = [comparison.minimum, comparison.maximum]
        if comparison.axis_size != 2 or values not in _DECISIONS or answers < self.answers.value:
            return
        yield Finding(
            f"{comparison.operation} asks how the scores order the examples, and is given decisions: {answers} "
            f"answers, each {comparison.minimum:g} or {comparison.maximum:g}. "
            "The order within each is lost.",
            location=comparison.location,
            severity="warn",
            evidence={"answers": answers, "calls": comparison.calls, "values": values},
            onset_step=comparison.step,
            fix=f"{comparison.operation}(labels, scores): probabilities, logits or (negative) distances themselves.",
        )

    @staticmethod
    def _exchanged(comparison: Comparison) -> Iterator[Finding]:
        """Of functions that divide by something of the targets, which come first."""
        if comparison.made_first and comparison.operation in _TARGETS_FIRST:
            yield Finding(
                f"{comparison.operation} takes the targets first and the predictions second; here the model's outputs "
                "come first, so it measures against their spread.",
                location=comparison.location,
                evidence={"calls": comparison.calls},
                onset_step=comparison.step,
                fix=f"{comparison.operation}(y_true, y_pred)",
                patch=_at(comparison.location, "exchange"),
            )

    def _of_one_output(self, run: Run, comparison: Comparison) -> Iterator[Finding]:
        """One score per example decides by its sign, or as a probability by a half."""
        calls = run.training_calls(*LOGIT_LOSSES, "binary_cross_entropy")
        if comparison.operation == "argmax" and comparison.axis_size == 1 and calls:
            if run.training_calls("cross_entropy", "nll_loss"):
                return
            yield Finding(
                f"The class is chosen over an axis of one element (shape {tuple(comparison.left_shape)}): it is 0 for "
                "every example, and the accuracy is the share of that class.",
                location=comparison.location,
                evidence={"shape": comparison.left_shape, "calls": comparison.calls},
                onset_step=comparison.step,
                fix="One logit per example decides by its sign: (logits > 0); a probability by a half.",
                patch=_at(comparison.location, "sign"),
            )
        low, high = comparison.minimum or 0.0, comparison.maximum or 0.0
        probabilities = run.training_calls("binary_cross_entropy")
        given = any(c.input_module and "Sigmoid" in c.input_op for c in probabilities)
        if comparison.operation == "sigmoid" and given and 0 <= low < high <= 1:
            yield Finding(
                f"The model returns probabilities ({low:.3g} to {high:.3g}), and this takes their sigmoid again: all "
                "are at least 0.5 now, whatever the model says.",
                location=comparison.location,
                evidence={"minimum": low, "maximum": high, "calls": comparison.calls},
                onset_step=comparison.step,
                fix="Leave the sigmoid out: the model has one.",
                patch=_at(comparison.location, "once"),
            )

    def _all_pairs(self, comparison: Comparison) -> bool:
        code = comparison.location.code if comparison.location else ""
        on_purpose = comparison.same_data or comparison.counting or bool(ON_PURPOSE.search(code))
        axis = doubled_axis(comparison.left_shape, comparison.right_shape)
        if comparison.operation not in ("==", "!="):  # rows of vectors against rows are distances, and meant
            on_purpose |= math.prod(comparison.left_shape) != axis or math.prod(comparison.right_shape) != axis
        return not on_purpose and axis >= self.axis.value

    def _cut(self, run: Run, comparison: Comparison) -> Iterator[Finding]:
        threshold, low, high = comparison.threshold or 0.0, comparison.minimum or 0.0, comparison.maximum or 0.0
        size = math.prod(comparison.left_shape[1:])
        rounds = comparison.operation == "round"
        losses = ("binary_cross_entropy_with_logits",) if rounds else LOGIT_LOSSES
        scored = [c for c in run.training_calls(*losses) if math.prod(c.input_shape[1:]) == size]
        if not self.lowest.value <= threshold <= self.highest.value or not scored:
            return
        if low >= 0 and high <= 1:
            # A fresh model's logits may lie there in the calls that were looked at. Are they what the loss is given?
            first = scored[: comparison.calls]
            reach = min(c.input_min for c in first), max(c.input_max for c in first)
            if not np.allclose(reach, (low, high), rtol=1e-5, atol=0):
                return
            low, high = min(c.input_min for c in scored), max(c.input_max for c in scored)
            if low >= 0 and high <= 1:
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
            patch=_at(comparison.location, "at-zero" if comparison.used_location else "cut"),
        )


def _alike(data: list[float], mean: float, std: float) -> bool:
    return math.isclose(data[0], mean, rel_tol=0.01, abs_tol=0.01 * std) and math.isclose(data[1], std, rel_tol=0.01)


def _share(tally: Tally) -> str:
    """The patch that divides what a line counts by how many it counted."""
    line, division = tally.location, tally.division
    if line is None or division is None:
        return ""
    return f"source:share@{line.line}={tally.numerator}:{Path(line.file).name}:{division.line}"


def _at(at: Location | None, how: str) -> str:
    """The patch that counts right at a line."""
    kind = "source" if how == "at-zero" else "metric"  # what no operation of PyTorch compares
    return f"{kind}:{how}:{Path(at.file).name}:{at.line}" if at is not None else ""
