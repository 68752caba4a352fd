"""L08: targets that the loss is not made for."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._pairs import ROLES, TRIPLETS, ranked_distances, stuck_pairs
from flightcheck.checks.loss._prediction import by_site
from flightcheck.checks.loss._signs import of_signs, without_signs
from flightcheck.patch import unit_range
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.run import Run

BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
SIGNS = ("soft_margin_loss", "hinge_embedding_loss", "cosine_embedding_loss", "margin_ranking_loss")
RANKED = "multilabel_margin_loss"
"""The loss of several labels that takes a list of class ids for each example."""
OUT_OF_RANGE = re.compile(r"Target (-?\d+) is out of bounds|Class values must be (?:smaller|non-negative)")


@check(
    "L08",
    "target-invalid",
    severity="error",
    evidence="X",
    needs=("loss_calls",),
    fix="Bring the targets into the range that the loss expects.",
)
class TargetInvalid(Check):
    """The targets lie outside of what the loss is defined for.

    ## What it checks
    Class ids within 0…C−1 (PyTorch stops otherwise). Targets of binary cross-entropy within [0, 1] (of probabilities
    PyTorch stops others): masks of 0 and 255, labels −1/+1 and class ids above 1 are caught. Targets −1/+1 for losses
    that expect signs, no negative counts for `poisson_nll_loss`, no negative probabilities for `kl_div`; prediction and
    target not swapped. And pairs that are to be near and those that are to be far in each other's place
    (`triplet_margin_loss`, `cosine_embedding_loss`, `hinge_embedding_loss`): where the loss is no smaller than that of
    one distance for all pairs after 60 steps, and a trial with the two exchanged halves it in each of three seeds; and
    two distances in `margin_ranking_loss` with the target 1, where evaluations have a third less error with -1. Of
    losses of signs that are written by hand, `logsigmoid(y * score)` or `clamp(1 - y * score, min=0)`: y of 0 and 1,
    where a trial with -1 and 1 brings the error of evaluations down by a third.
    ## Why it matters
    The loss is still a number, often a negative one, and pushes the outputs towards infinity or ignores a class.
    ## How to fix
    Shift labels to start at 0, divide masks by 255, map {−1, 1} to {0, 1} or back, or take the loss that fits.
    ## Source
    Contracts of PyTorch's losses; AutoTrainer's "improper loss".
    ## Known false alarms
    Triplets that are chosen by the distances of the model (hard negatives) are left out: their loss stays at the margin
    for long. Noisy labels of GANs such as 0.7…1.2 are within the margin. Real-valued targets in binary cross-entropy
    are L12. A mask in the place of y is the same product: therefore the trial.
    """

    margin = Param(0.35, "noisy label smoothing goes to about 1.2; a wrong coding misses [0, 1] by 1 or more")
    calls = Param(2, "a wrong coding shows in every batch")
    per_class = Param(20, "a class missing by chance in 20·C labels of a class with share 1/C has probability 2e-9")

    def __call__(self, run: Run) -> Iterator[Finding]:
        crash = self._crash(run)
        if crash:
            yield crash
            return
        yield from self._exchanged(run)
        yield from self._without_signs(run)
        calls = [c for c in run.loss_calls if c.training or c.target_requires_grad]
        if not calls:
            raise NotApplicable("no loss function of the framework was called in training")
        findings = []
        doubt = ""
        for here in by_site(calls).values():
            site = run.site(here[0])
            problems = [(c, p) for c in here if (p := self._problem(site, c))]
            if len(problems) >= self.calls.value:
                call, (message, fix) = problems[-1]
                findings.append(
                    Finding(
                        f"{message} in {len(problems)} of {len(here)} observed calls.",
                        location=site.location,
                        evidence={
                            "loss": site.function,
                            "target_min": call.target_min,
                            "target_max": call.target_max,
                        },
                        onset_step=problems[0][0].step,
                        fix=fix,
                        patch=_patch(site.function, [c for c, _ in problems]),
                    )
                )
            elif len(here) < self.calls.value:
                doubt = f"{len(here)} of {self.calls.value:.0f} observed calls of the loss"
            elif unused := self._one_based(site, here):
                findings.append(unused)
        if not findings and doubt:
            raise NotEnoughEvidence(doubt)
        yield from findings

    @staticmethod
    def _exchanged(run: Run) -> Iterator[Finding]:
        """What is to be near and what is to be far, where a trial showed it."""
        proof = [e for e in run.experiments if (e.question, e.patch, e.status) == ("L08", ROLES, "confirmed")]
        ranked = ranked_distances(run) if proof else None
        if ranked is not None and proof[0].before is not None and proof[0].after is not None:
            yield Finding(
                f"{ranked.function} with the target 1 asks for a larger first distance; with -1 the {proof[0].measure} "
                f"after {proof[0].steps} steps is {proof[0].after:.3g}, and not {proof[0].before:.3g}: what belongs "
                "together is pushed apart.",
                location=ranked.location,
                evidence={"before": proof[0].before, "after": proof[0].after, "triplets": False},
                fix="Give it the distance of what does not belong together first, or the target -1.",
                patch=ROLES,
            )
            return
        for stuck in stuck_pairs(run)[:1] if proof else ():
            triplets = stuck.site.function == TRIPLETS
            what = "positive and negative" if triplets else "the two signs of the target"
            before, after, steps = proof[0].before or 0.0, proof[0].after or 0.0, proof[0].steps
            yield Finding(
                f"{stuck.site.function} is {stuck.value:.3g} in step {stuck.step}, and {stuck.constant:.3g} if all "
                f"distances were equal; with {what} exchanged it is {after:.3g} and not {before:.3g} after {steps} "
                "steps: what belongs together is pushed apart.",
                location=stuck.site.location,
                evidence={"value": stuck.value, "constant": stuck.constant, "exchanged": after, "triplets": triplets},
                fix="Give the loss anchor, positive, negative in this order."
                if triplets
                else "Give pairs that belong together the target 1, others -1.",
                patch=ROLES,
            )

    @staticmethod
    def _without_signs(run: Run) -> Iterator[Finding]:
        """Labels of 0 and 1 in a loss of signs that is written by hand, where a trial showed it."""
        product = without_signs(run)
        if product is None:
            return
        tried = (e for e in run.experiments if (e.question, e.patch) == ("L08", of_signs(product)))
        if any(e.status == "confirmed" for e in tried):
            share = product.zeros / (product.zeros + product.ones)
            what = "log(1 + exp(-y * score))" if product.loss == "logistic" else "max(0, 1 - y * score)"
            yield Finding(
                f"The loss is {what}, for y of -1 and 1, and {share:.0%} of the y here are 0, the others 1: where y is "
                "0 it is a constant without a gradient, and nothing pushes these scores down.",
                location=product.location,
                evidence={"loss": product.loss, "zeros": product.zeros, "ones": product.ones},
                onset_step=product.step,
                fix="Use 2 * y - 1 in the place of y"
                + (
                    ", or binary_cross_entropy_with_logits, which takes 0 and 1." if product.loss == "logistic" else "."
                ),
                patch=of_signs(product),
            )

    def _problem(self, site: LossSite, c: LossCall) -> tuple[str, str] | None:
        name, low, high = site.function, c.target_min, c.target_max
        bounds = f"{low:.4g} to {high:.4g}"
        if name in (*BINARY, "cross_entropy") and c.target_requires_grad and not (c.input_op or c.input_module):
            return f"{name} received the labels as prediction and the prediction as target", "Swap the two arguments."
        if not c.training:
            return None
        if name in BINARY and c.target_integral and (low < -self.margin.value or high > 1 + self.margin.value):
            if low >= 0 and high > 100:
                fix = f"Divide the targets by {high:.0f}."
            elif low < 0:
                fix = "Map the labels to 0 and 1, for example with (y + 1) / 2, or use a loss for signs."
            else:
                fix = "Use CrossEntropyLoss with one output per class, or make the labels 0 and 1."
            return f"{name} expects targets in [0, 1] but received whole numbers from {bounds}", fix
        if name == RANKED and c.target_binary and low == 0.0 and c.classes > 2:
            return (
                f"{name} expects the class ids of each example, filled up with -1, but received rows of 0 and 1",
                "Use MultiLabelSoftMarginLoss or BCEWithLogitsLoss, which take a 0 or 1 for each class.",
            )
        if name in SIGNS and c.target_binary and low == 0.0 and high == 1.0:
            return f"{name} expects targets −1 and 1 but received 0 and 1", "Use 2 * y - 1 as target."
        if name == "poisson_nll_loss" and low < -self.margin.value:
            return f"poisson_nll_loss expects counts but received targets from {bounds}", "Give it the raw counts."
        if name == "kl_div" and not site.settings.get("log_target") and low < -self.margin.value:
            return (
                f"kl_div expects probabilities as target but received values from {bounds}",
                "Give softmax(target), or log-probabilities with log_target=True.",
            )
        if name == "kl_div" and site.settings.get("log_target") and high > self.margin.value:
            return f"kl_div with log_target=True received targets from {bounds}", "Give log_softmax(target)."
        return None

    def _one_based(self, site: LossSite, here: list[LossCall]) -> Finding | None:
        """Class 0 never occurs and every other does: labels from 1 to C−1 with a spare column."""
        here = [c for c in here if c.label_counts and c.training and len(c.label_counts) == c.classes]
        if site.function not in ("cross_entropy", "nll_loss") or not here or any(c.ignored for c in here):
            return None
        counts = [sum(column) for column in zip(*(c.label_counts or [] for c in here))]
        enough = len(counts) >= 3 and sum(counts) >= self.per_class.value * len(counts)
        if not enough or counts[0] or not all(counts[1:]) or site.settings.get("ignore_index") == 0:
            return None
        return Finding(
            f"Class 0 of {len(counts)} never occurs in {sum(counts)} observed labels while every other class does: the "
            "labels seem to start at 1, and one output column is never used.",
            location=site.location,
            evidence={"label_counts": counts},
            severity="info",
            fix="Subtract 1 from the labels and drop one output, unless the class is reserved.",
        )

    @staticmethod
    def _crash(run: Run) -> Finding | None:
        info = run.info
        found = OUT_OF_RANGE.search(info.error)
        patch = ""
        if found:
            # From 1 to C, or one output too few: a trial with lowered ids meets an id -1 if there is a class 0.
            patch = "targets:shift-1" if found[1] and int(found[1]) > 0 else ""
            classes = max((c.classes for c in run.loss_calls), default=0)
            valid = f"0 … {classes - 1}" if classes > 1 else "0 … C−1"
            which = f"Class id {found[1]}" if found[1] else "A class id"
            message = f"{which} is outside of {valid}: the loss stopped the script."
            fix = "Let the labels start at 0 (subtract the smallest), or give the last layer one output per class."
        elif "multi-target not supported" in info.error:
            message = "The loss expects one class id per example but received a target with one more dimension."
            fix = "Use target.argmax(1) for one-hot rows, target.squeeze(1) for a column of ids."
        elif "elements of target should be between 0 and 1" in info.error:
            message = "binary_cross_entropy expects targets in [0, 1] but received others, and stopped the script."
            fix = "Divide masks and percentages by their largest value, map -1 and 1 to 0 and 1 with (y + 1) / 2."
            patch = "targets:unit"
        else:
            return None
        return Finding(
            message,
            location=info.error_location,
            evidence={"error": info.error},
            onset_step=info.steps,
            fix=fix,
            patch=patch,
        )


def _patch(function: str, calls: list[LossCall]) -> str:
    """The range of the targets brought to that of the loss; none for class ids, which need another loss."""
    if function == RANKED:
        return "loss:several"
    if function in SIGNS:
        return "targets:signs"
    if function not in BINARY or any(not c.training for c in calls):
        return ""
    bounds = unit_range(
        min(c.target_min for c in calls),
        max(c.target_max for c in calls),
        values=max(c.target_distinct or 4096 for c in calls),
        per_example=max(math.prod(c.target_shape[1:]) for c in calls),
    )
    return f"targets:unit={bounds[0]:g},{bounds[1]:g}" if bounds else ""
