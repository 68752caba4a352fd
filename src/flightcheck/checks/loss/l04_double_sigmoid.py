"""L04: a sigmoid before a loss that applies one itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import OPERATIONS, activation_line, by_site, last_activation
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.run import Run


@check(
    "L04",
    "double-sigmoid",
    severity="error",
    evidence="B",
    needs=("loss_calls",),
    fix="Return the logits from the model; apply sigmoid only when predicting.",
    patch="drop-module:sigmoid",
)
class DoubleSigmoid(Check):
    """Binary cross-entropy with logits received probabilities, and applies sigmoid to them again.

    ## What it checks
    The prediction given to `binary_cross_entropy_with_logits` comes out of a sigmoid or softmax (its last operation
    in the graph that computes values) and lies in [0, 1]. Or that of `binary_cross_entropy` comes out of a sigmoid that
    was given the output of a sigmoid.
    ## Why it matters
    A "logit" limited to [0, 1] means a probability between 0.5 and 0.731: the loss stays above 0.693 per negative and
    0.313 per positive label, and no input is ever classified as negative with confidence.
    ## How to fix
    Return the logits from `forward`, or use `BCELoss` with the probabilities.
    ## Source
    PyTorch `BCEWithLogitsLoss` contract; the floors follow from logits limited to [0, 1].
    ## Known false alarms
    None known. Real logits that happen to lie in [0, 1] are not flagged: the operation that made them must be seen.
    """

    calls = Param(3, "the operation is exact evidence; three calls rule out a rare branch")
    unknown = Param(1000, "so many logits of a healthy model do not all lie in [0, 1]: without the operation, unsure")

    def __call__(self, run: Run) -> Iterator[Finding]:
        calls = run.training_calls("binary_cross_entropy_with_logits", "multilabel_soft_margin_loss")
        calls += [c for c in run.training_calls("binary_cross_entropy") if _sigmoid_twice(c)]
        if not calls:
            raise NotApplicable(
                "no binary cross-entropy with logits, and no sigmoid of a sigmoid, was seen in training"
            )
        doubt = ""
        findings = []
        for here in by_site(calls).values():
            inside = [c for c in here if c.input_min >= 0.0 and c.input_max <= 1.0]
            doubled = [c for c in inside if last_activation(c) in ("sigmoid", "softmax")]  # of probabilities: see above
            unseen = [c for c in inside if not c.input_op]
            if len(doubled) >= self.calls.value:
                findings.append(self._finding(run, here, doubled))
            elif doubled or len(here) < self.calls.value:
                doubt = f"{len(here)} of {self.calls.value:.0f} observed calls of the loss"
            elif len(unseen) == len(here) and sum(math.prod(c.input_shape) for c in here) >= self.unknown.value:
                doubt = "every prediction lies in [0, 1], but the operation that made it was not seen"
        if not findings and doubt:
            raise NotEnoughEvidence(doubt)
        yield from findings

    @staticmethod
    def _finding(run: Run, here: list[LossCall], doubled: list[LossCall]) -> Finding:
        last = doubled[-1]
        activation = last_activation(last)
        location, module = activation_line(run, last, activation)
        shares = [c.target_mean for c in doubled if 0.0 <= c.target_mean <= 1.0]
        positive = sum(shares) / len(shares) if shares else 0.5
        floor = positive * math.log1p(1 / math.e) + (1 - positive) * math.log(2)
        again = (
            f"BCELoss received the sigmoid of a sigmoid in {len(doubled)} observed calls"
            if _sigmoid_twice(last)
            else f"BCEWithLogitsLoss received the output of a {activation} in {len(doubled)} of {len(here)} observed "
            "calls and applies sigmoid again"
        )
        return Finding(
            f"{again}, so its floor is {floor:.3f} and not 0.",
            location=location,
            module=module,
            evidence={
                "floor": floor,
                "positive_share": positive,
                "input_min": min(c.input_min for c in doubled),
                "input_max": max(c.input_max for c in doubled),
                "loss_line": str(run.site(last).location),
            },
            onset_step=doubled[0].step,
            fix="Apply the sigmoid once: the model or the line of the loss, not both."
            if _sigmoid_twice(last)
            else f"Drop the {activation}: give the loss the raw output of the last layer."
            if activation == "sigmoid"
            else "Drop the softmax; for one label out of several use CrossEntropyLoss on the raw outputs.",
            patch=f"drop-module:{activation}",
        )


def _sigmoid_twice(c: LossCall) -> bool:
    """The sigmoid that made this prediction was given what a sigmoid made."""
    return last_activation(c) == "sigmoid" and c.scores_op.startswith(OPERATIONS["sigmoid"])
