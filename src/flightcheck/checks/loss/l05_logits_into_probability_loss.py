"""L05: a loss that expects (log-)probabilities received something else."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._prediction import activation_line, by_site, last_activation
from flightcheck.recording.likelihoods import Likelihood
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.run import Run

NAMES = {
    "nll_loss": "NLLLoss", "kl_div": "KLDivLoss", "binary_cross_entropy": "BCELoss", "ctc_loss": "CTCLoss",
    "hinge_embedding_loss": "HingeEmbeddingLoss",
}  # fmt: skip
EXPECTED = {"binary_cross_entropy": "values in [0, 1]", "hinge_embedding_loss": "distances (at least 0)"}


_CALLS = 3


@check(
    "L05",
    "logits-into-probability-loss",
    severity="error",
    evidence="X",
    needs=("loss_calls",),
    fix="Apply log_softmax to the logits before this loss, or use the loss that takes logits.",
    patch="loss:cross_entropy",
)
class LogitsIntoProbabilityLoss(Check):
    """A loss that expects probabilities, log-probabilities or distances received other values.

    ## What it checks
    `nll_loss`, `ctc_loss` and `kl_div` get log-probabilities: no value above 0, and every row's logsumexp is 0 (for
    `kl_div` only where the target's rows sum to 1 over the same dimension). `binary_cross_entropy` gets values in
    [0, 1], `hinge_embedding_loss` distances, which are not negative. And likelihoods by hand: the logarithm of the
    number that class ids pick from what a sigmoid of each output, another activation or none put out, with nothing that
    is computed of the others; or of what is cut to between 0 and 1 and comes from a layer, or an activation, that gives
    no probabilities. Of these it is told only if a trial with a softmax, or a sigmoid, takes away a third of the error
    of the evaluations: hazards, several kinds of labels and mixtures may be meant.
    ## Why it matters
    Without the normalization the loss is not bounded: it falls for ever by scaling the outputs up (NLL even below 0),
    while the model learns little or nothing. With a sigmoid for each class it is lowest where all of them are 1. What
    is cut off has no gradient.
    ## How to fix
    `log_softmax` before `NLLLoss`, `CTCLoss` and `KLDivLoss`, or `CrossEntropyLoss` on logits; `BCEWithLogitsLoss` on
    logits; `SoftMarginLoss` or `MultiMarginLoss` for the scores of a classifier.
    ## Source
    Contracts of PyTorch's `NLLLoss`, `KLDivLoss`, `CTCLoss`, `BCELoss` and `HingeEmbeddingLoss`.
    ## Known false alarms
    Unnormalized energy models that use NLL on purpose. A `log_softmax` over the wrong dimension is L06.
    """

    above_zero = Param(0.02, "a log-probability is at most 0; rounding and a small epsilon inside the log stay below")
    log_sum = Param(0.05, "log-probabilities have logsumexp 0 within 1e-6, in bfloat16 and with epsilons below 0.05")
    row_sum = Param(1e-3, "softmax rows sum to 1 within rounding")
    calls = Param(3, "the value is an exact fact; three calls rule out a special first batch")

    def __call__(self, run: Run) -> Iterator[Finding]:
        crash = self._crash(run)
        if crash:
            yield crash
            return
        use = likelihood(run)
        shown = {e.patch for e in run.experiments if (e.question, e.status) == ("L05", "confirmed")}
        patch = next((p for p in made_probable(use) if p in shown), "") if use is not None else ""
        by_hand = [self._by_hand(use, patch)] if use is not None and patch else []
        yield from by_hand
        calls = run.training_calls(*NAMES)
        if not calls and by_hand:
            return
        if not calls:
            raise NotApplicable("no loss over probabilities or log-probabilities was called in training")
        findings = []
        doubt = ""
        for all_calls in by_site(calls).values():
            here = [c for c in all_calls if math.isfinite(c.input_max)] or all_calls
            wrong = [c for c in here if self._wrong(run, c)]
            if len(here) < self.calls.value:
                doubt = f"{len(here)} of {self.calls.value:.0f} observed calls of the loss"
            elif len(wrong) >= (self.calls.value if self._of_distances(run, here[0]) else len(here)):
                findings.append(self._finding(run, wrong))
        if not findings and doubt:
            raise NotEnoughEvidence(doubt)
        yield from findings

    @staticmethod
    def _by_hand(use: Likelihood, patch: str) -> Finding:
        activation = use.activation.removesuffix("Backward0").lower()
        of = "no activation" if activation in ("addmm", "convolution") else f"a {activation}"
        if use.picked and activation == "sigmoid":
            text = (
                f"Of {use.classes} outputs, each with a sigmoid of its own, the loss takes the logarithm of the one "
                "that is true: nothing keeps the others down, and it is lowest where all of them are 1."
            )
        elif use.picked:
            text = f"The loss takes the logarithm of what comes out of {of} for that of the true class's probability."
        else:
            text = (
                f"What comes out of {of} is cut to probabilities between 0 and 1 before the loss takes its logarithm: "
                "beyond, it has no gradient."
            )
        return Finding(
            text,
            location=use.made_at or use.location,
            evidence={"activation": activation, "picked": use.picked, "calls": use.calls, "line": str(use.location)},
            fix="Give the loss probabilities: a softmax over the classes (a sigmoid where each output is a yes or no), "
            "or cross_entropy on the scores.",
            patch=patch,
        )

    @staticmethod
    def _of_distances(run: Run, c: LossCall) -> bool:
        """No distance is negative, not in one call; scores of a model may begin above 0."""
        return run.site(c).function == "hinge_embedding_loss"

    def _wrong(self, run: Run, c: LossCall) -> bool:
        function = run.site(c).function
        if not math.isfinite(c.input_max):
            return False
        if function == "binary_cross_entropy":
            return c.input_min < 0.0 or c.input_max > 1.0
        if function == "hinge_embedding_loss":
            return c.input_min < -self.above_zero.value
        if c.input_max > self.above_zero.value:
            return True
        rows = c.target_row_sum_error
        over_classes = function in ("nll_loss", "ctc_loss") or (rows is not None and rows <= self.row_sum.value)
        error = c.log_sum_error
        if not over_classes or last_activation(c) == "log_softmax" or error is None or not math.isfinite(error):
            return False
        return c.classes > 1 and error > self.log_sum.value

    def _finding(self, run: Run, wrong: list[LossCall]) -> Finding:
        last = wrong[-1]
        site = run.site(last)
        name = NAMES[site.function]
        low, high = min(c.input_min for c in wrong), max(c.input_max for c in wrong)
        location, module, what, fix = site.location, last.input_module, "unnormalized outputs", ""
        patch = ""  # the check's own
        error = last.row_sum_error
        if site.function == "binary_cross_entropy":
            fix = "Use BCEWithLogitsLoss, or apply sigmoid to the output."
        elif site.function == "hinge_embedding_loss":
            what, patch = "scores", "loss:soft_margin"
            fix = "Use SoftMarginLoss (labels -1 and 1) for scores; HingeEmbeddingLoss is for distances of pairs."
        elif last_activation(last) == "softmax" or (low >= 0 and error is not None and error <= self.row_sum.value):
            what, fix = "probabilities", "Take log_softmax instead of softmax."
            of_ids = site.function == "nll_loss"
            patch = "loss:cross_entropy + drop-module:softmax" if of_ids else "loss:log_softmax"
            location, module = activation_line(run, last, "softmax")
        elif site.function == "nll_loss":
            fix = "Use CrossEntropyLoss on these outputs, or apply log_softmax over the classes first."
        else:
            patch = "loss:log_softmax"
        expected = EXPECTED.get(site.function, "log-probabilities (at most 0)")
        return Finding(
            f"{name} expects {expected} but received {what} from {low:.3g} to {high:.3g} in all {len(wrong)} observed "
            "calls: the loss has no floor.",
            location=location,
            module=module,
            evidence={
                "input_min": low,
                "input_max": high,
                "log_sum_error": last.log_sum_error,
                "received": what,
                "loss_line": str(site.location),
            },
            onset_step=wrong[0].step,
            fix=fix,
            patch=patch,
        )

    @staticmethod
    def _crash(run: Run) -> Finding | None:
        info = run.info
        if "all elements of input should be between 0 and 1" not in info.error:
            return None
        healthy = [c for c in run.training_calls("binary_cross_entropy") if c.input_min >= 0 and c.input_max <= 1]
        if healthy or run.non_finite:
            return None  # it was fine before: the values turned into NaN, which is another fault
        return Finding(
            "BCELoss expects probabilities in [0, 1] and stopped at its first call, because the model's outputs "
            "lie outside.",
            location=info.error_location,
            evidence={"error": info.error},
            onset_step=info.steps,
            fix="Use BCEWithLogitsLoss, or apply sigmoid to the output.",
        )


def likelihood(run: Run) -> Likelihood | None:
    """One that is written by hand, of what is no probability."""
    return next((use for use in run.recorded(Likelihood) if use.calls >= _CALLS), None)


def made_probable(use: Likelihood) -> list[str]:
    """The patches that make it one, the likelier first."""
    rules = ("softmax",) if use.picked else ("sigmoid", "softmax") if use.rest else ("softmax", "sigmoid")
    return [f"loss:{rule}:{PurePath(use.location.file).name}:{use.location.line}" for rule in rules]
