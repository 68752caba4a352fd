"""L12: the loss, the output and the kind of target do not belong together."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import activation_line, by_site, last_activation
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.run import Run

BINARY = ("binary_cross_entropy", "binary_cross_entropy_with_logits")
_POSITIVE = {"ExpBackward": "an exponential", "Exp2Backward": "an exponential", "SoftplusBackward": "a softplus"}
_UNPROVEN = {"refuted", "inconclusive", "untested"}
"""What a trial says that gave no reason to warn; the last where one output for each class had no place."""
REGRESSION = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


@check(
    "L12",
    "loss-task-mismatch",
    severity="error",
    evidence="B",
    needs=("loss_calls",),
    fix="Use the loss that fits the output layer and the kind of target.",
)
class LossTaskMismatch(Check):
    """Output layer, loss and kind of target do not fit together.

    ## What it checks
    Per observed loss call, pairs that cannot work: softmax or cross-entropy over a single output (constant), sigmoid
    before cross-entropy (logits limited to [0, 1]), cross-entropy with multi-hot rows or with real-valued targets,
    softmax before binary cross-entropy with rows of several labels, real-valued targets in binary
    cross-entropy, a regression loss on class ids, a Poisson loss that takes its input for the logarithm of the rate and
    is given the output of an exponential or a softplus, and a binary cross-entropy written by hand that lacks the part
    of the labels 0 (where it is the only term beside weight penalties).
    ## Why it matters
    Such a pair trains without an error message, but the loss has a high floor, no gradient, or another optimum than
    the task.
    ## How to fix
    One label of several: raw outputs and `CrossEntropyLoss`. Yes/no or several labels: raw outputs and
    `BCEWithLogitsLoss`. Numbers: a linear output and `MSELoss`.
    ## Source
    NeuraLint's and DeepDiagnosis's wrong-loss rules; contracts of PyTorch's losses.
    ## Known false alarms
    Class ids under a regression loss may be an ordinal scale: a warning only where the script computes an accuracy too
    and no trial with one output for each class ends hardly better, or has no place (the expected class of a
    distribution over them), else information. Deliberate pairs (BCE for single
    labels, Brier score, distillation) are not flagged, nor is the multinomial likelihood of a set that the model was
    given itself (autoencoders of baskets and bags of words).
    """

    calls = Param(3, "the pair is a structural fact; three calls rule out a special first batch")
    margin = Param(0.35, "smoothed or noisy labels leave [0, 1] by less, standardized or raw numbers by more")
    multi_hot = Param(1.05, "mean number of labels per row: one-hot and void rows give at most 1")
    row_sum = Param(1e-3, "float32 softmax rows sum to 1 within 1e-6, bfloat16 ones within about 4e-3/C per element")
    classes = Param(50, "beyond so many values, whole numbers are counts rather than class ids")
    uniform = Param(0.15, "class ids fill 0…K−1 evenly; counts and ages do not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        calls = run.training_calls()
        if not calls:
            raise NotApplicable("no loss function of the framework was called in training")
        findings = []
        doubt = ""
        for here in by_site(calls).values():
            site = run.site(here[0])
            if site.settings.get("part") and self._has_other_terms(run, site):
                continue
            problems = [(c, p) for c in here if (p := self._problem(site, c))]
            ids = self._class_ids(run, site, here)
            if len(here) < self.calls.value:
                doubt = f"{len(here)} of {self.calls.value:.0f} observed calls of the loss"
            elif len(problems) == len(here):
                call, (message, activation, fix) = problems[-1]
                made_by = activation_line(run, call, activation) if activation else (site.location, "")
                findings.append(
                    Finding(
                        message,
                        location=made_by[0],
                        module=made_by[1],
                        evidence={
                            "loss": site.function,
                            "input_shape": call.input_shape,
                            "target_min": call.target_min,
                            "target_max": call.target_max,
                            "loss_line": str(site.location),
                        },
                        onset_step=here[0].step,
                        fix=fix,
                        patch=_patch(site.function, activation) or self._other_loss(site, call),
                    )
                )
            elif ids:
                findings.append(ids)
        if not findings and doubt:
            raise NotEnoughEvidence(doubt)
        yield from findings

    @staticmethod
    def _has_other_terms(run: Run, site: LossSite) -> bool:
        """Something else in the sum may keep the predictions of the labels 0 down."""
        return any(not t.penalty and t.location != site.location for t in run.loss_terms)

    def _problem(self, site: LossSite, c: LossCall) -> tuple[str, str, str] | None:
        """Message, the activation to blame (or nothing: the loss line is), and fix."""
        name, activation = site.function, last_activation(c)
        if site.settings.get("part"):
            return (
                "The loss is -target * log(p) alone: where the target is 0 it is 0 whatever p is, so a model that "
                "answers 1 for every input has no loss at all.",
                "",
                "Add the other part, (1 - target) * log(1 - p), or use binary_cross_entropy.",
            )
        if name == "poisson_nll_loss":
            return self._rate_twice(site, c)
        numbers = f"numbers from {c.target_min:.4g} to {c.target_max:.4g}"
        outside = c.target_min < -self.margin.value or c.target_max > 1 + self.margin.value
        use_binary = "Use BCEWithLogitsLoss on the raw output, or two outputs with CrossEntropyLoss."
        if name in ("cross_entropy", "nll_loss"):
            if len(c.input_shape) == 1 and c.target_shape == c.input_shape:
                if not self._not_one_distribution(c):
                    return None
                n = c.input_shape[0]
                return (
                    f"{name} takes the {n} outputs of shape ({n},) for the classes of one example.",
                    "",
                    "Use BCEWithLogitsLoss for yes/no labels, MSELoss for numbers.",
                )
            if c.classes == 1 and len(c.input_shape) > 1:
                return f"{name} over a single output is always 0, so nothing is learned.", "", use_binary
            if name == "cross_entropy" and activation == "sigmoid":
                floor = math.log1p((c.classes - 1) / math.e)
                return (
                    f"CrossEntropyLoss received the output of a sigmoid: logits limited to [0, 1] keep the loss above "
                    f"{floor:.3f} for {c.classes} classes.",
                    "sigmoid",
                    "Drop the sigmoid: CrossEntropyLoss applies softmax itself.",
                )
            return self._soft_targets(c, outside, numbers) if name == "cross_entropy" else None
        if activation == "softmax" and c.input_min == c.input_max == 1.0 and math.prod(c.input_shape) > 1:
            return (
                "Softmax over a single output is 1 for every input: the model's output is constant.",
                "softmax",
                "Use sigmoid for a single output (best inside BCEWithLogitsLoss).",
            )
        if name == "binary_cross_entropy" and self._competing(c, activation):
            labels = c.target_mean * c.classes
            return (
                f"The outputs of each row sum to 1 (a softmax), but targets hold {labels:.2f} labels a row on average "
                f"(up to {(c.target_row_sum_error or 0) + 1:.0f}): the labels of one example compete, and at most one "
                "output can exceed 0.5.",
                "softmax",
                "Use sigmoid for several labels per example (best inside BCEWithLogitsLoss).",
            )
        if name in BINARY and outside and not c.target_integral:
            shares = c.target_min >= 0
            scale = "Divide the targets by the largest value they can have, or use" if shares else "Use"
            return f"{name} expects targets in [0, 1] but received {numbers}.", "", f"{scale} MSELoss for real numbers."
        return None

    @staticmethod
    def _rate_twice(site: LossSite, c: LossCall) -> tuple[str, str, str] | None:
        """What is positive by its last operation is taken for a logarithm."""
        made = next((o for o in _POSITIVE if (c.input_value_op or c.input_op).startswith(o)), "")
        if not made or c.input_min < 0 or not site.settings.get("log_input", True):
            return None
        return (
            "PoissonNLLLoss takes its input for the logarithm of the rate (log_input=True, the default), but received "
            f"the output of {_POSITIVE[made]}: the rate is its exponential once more, and never below 1.",
            "",
            "PoissonNLLLoss(log_input=False) for a rate; or give it the output before that function.",
        )

    def _competing(self, c: LossCall, activation: str) -> bool:
        """A softmax gives one distribution, and the targets of a row are several labels."""
        error = c.target_row_sum_error
        if error is None or not c.target_binary or c.target_shape != c.input_shape or c.classes < 2:
            return False
        rows = (c.row_sum_error is not None and c.row_sum_error <= self.row_sum.value) or activation == "softmax"
        return rows and self._several(c, error)

    def _other_loss(self, site: LossSite, c: LossCall) -> str:
        """Numbers under any other loss; labels that exclude one another under a cross-entropy, and do not."""
        if site.settings.get("part"):
            return "loss:both"
        if site.function == "poisson_nll_loss":
            return "loss:rate"
        if _numbers(c):
            return "loss:mse_loss"
        of_labels = site.function == "cross_entropy" and c.target_binary and c.target_shape == c.input_shape
        return "loss:several" if of_labels else ""

    def _not_one_distribution(self, c: LossCall) -> bool:
        n = math.prod(c.input_shape)
        return n > 1 and abs(c.target_mean * n - 1) > self.margin.value

    def _soft_targets(self, c: LossCall, outside: bool, numbers: str) -> tuple[str, str, str] | None:
        error = c.target_row_sum_error
        if error is None or c.target_shape != c.input_shape or "int" in c.target_dtype:
            return None
        if outside and error > self.margin.value:
            message = f"CrossEntropyLoss received {numbers} as class probabilities."
            return message, "", "Use MSELoss for real numbers, class ids or rows that sum to 1 for classes."
        if c.target_binary and not c.target_given and self._several(c, error):
            labels = c.target_mean * c.classes
            message = (
                f"CrossEntropyLoss received rows with {labels:.2f} labels on average (up to {error + 1:.0f}): softmax "
                "lets the labels of one example compete."
            )
            return message, "", "Use BCEWithLogitsLoss for several labels per example."
        return None

    def _several(self, c: LossCall, error: float) -> bool:
        """Rows of zeros and ones that hold more than one label."""
        return c.target_mean * c.classes > self.multi_hot.value or error > 1.5

    def _class_ids(self, run: Run, site: LossSite, here: list[LossCall]) -> Finding | None:
        """A regression loss on whole numbers 0…K−1 that occur about equally often."""
        if site.function not in REGRESSION or not all(c.target_integral and c.target_min >= 0 for c in here):
            return None
        if any(c.target_shape and math.prod(c.target_shape) != c.target_shape[0] for c in here):
            return None  # images, sequences, one-hot rows
        k = int(max(c.target_max for c in here)) + 1
        if not 3 <= k <= self.classes.value or max(c.target_distinct or 0 for c in here) < k:
            return None
        mean = sum(c.target_mean for c in here) / len(here)
        spread = sum(c.target_std for c in here) / len(here)
        even = abs(mean - (k - 1) / 2) < self.uniform.value * k
        even &= abs(spread - math.sqrt((k * k - 1) / 12)) < self.uniform.value * k / 2
        if not even:
            return None
        accuracy = any(e.metrics for e in run.evaluations)
        tried = [e.status for e in run.experiments if (e.question, e.patch) == ("L12", f"head:{k}")]
        return Finding(
            f"{site.function} treats the {k} class ids 0…{k - 1} as numbers: class {k - 1} counts as further from 0 "
            "than class 1 is.",
            location=site.location,
            evidence={"classes": k, "target_mean": mean, "accuracy_measured": accuracy},
            onset_step=here[0].step,
            severity="warn" if accuracy and _UNPROVEN.isdisjoint(tried) else "info",
            fix=f"Give the model {k} outputs and use CrossEntropyLoss.",
            patch=f"head:{k}",
        )


def _numbers(call: LossCall) -> bool:
    """The target is one real number for each output."""
    return not (call.target_binary or call.target_integral) and math.prod(call.input_shape) == math.prod(
        call.target_shape
    )


def _patch(function: str, activation: str) -> str:
    """What a trial can change: outputs and targets of the model stay as they are, so no other task can be tried."""
    if not activation:
        return ""
    without = f"drop-module:{activation}"
    return f"loss:bce_with_logits + {without}" if function == "binary_cross_entropy" else without
