"""C16: the last activation cannot produce what the loss asks for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import PurePath
from typing import Final

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.depth import own_line
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.noise_widths import NoiseWidth
from flightcheck.recording.opponents import Opponents
from flightcheck.recording.ranges import RANGES
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

REGRESSION: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
LOGITS: Final = ("cross_entropy", "binary_cross_entropy_with_logits")
NORMALIZED: Final = {"nll_loss": "cross_entropy", "binary_cross_entropy": "binary_cross_entropy_with_logits"}
"""Losses of probabilities, and what they are together with the softmax or sigmoid before them."""
BETWEEN: Final = {"nll_loss": "the softmax of ", "binary_cross_entropy": "the sigmoid of "}


_WIDTH_CALLS = 3


@check(
    "C16",
    "output-range-mismatch",
    severity="error",
    evidence="X",
    needs=("loss_calls",),
    fix="Let the model end with a linear layer, or rescale the targets into the range of its last activation.",
    patch="drop-module",
)
class OutputRangeMismatch(Check):
    """The activation before the loss limits the output to a range that does not hold the targets.

    ## What it checks
    ReLU (≥ 0), sigmoid (0…1), softmax or tanh (−1…1) as the last operation before a regression loss whose targets reach
    beyond that range; and ReLU, dropout, sigmoid or tanh on the logits of a cross-entropy, also where a log-softmax
    (before `NLLLoss`) or a sigmoid (before `BCELoss`) of the model stands between. And of a GAN: the activation in
    which its generator ends, if more than a tenth of the values of the data that the discriminator is shown lie outside
    of that range, by half of it. And of noise that a model scales (a VAE's sample): a width that is the exponential of
    what a ReLU put out, which is never below 1, and which is in the loss by itself, too; told only if a trial without
    the ReLU takes away a tenth of the error.
    ## Why it matters
    Targets outside the range can never be met, and a ReLU whose output should be negative dies. Logits between 0 and 1
    keep a cross-entropy of 10 classes above 1.46; ReLU logits cannot speak against a class. A discriminator that sees
    values which the generator cannot make has nothing else to learn.
    ## How to fix
    End the model with a linear layer; or scale the targets into the range: images to -1…1 for a tanh.
    ## Source
    AutoTrainer, DeepDiagnosis; PyTorch forum threads 77250, 55904, 50048.
    ## Known false alarms
    Rare outliers, and noise on targets that lie within the range: the limit must lie within 3 deviations of the
    targets' mean, be exceeded by 10 % of their range in 4 of 5 calls, and by a tenth of the targets.
    """

    calls = Param(3, "targets of several batches")
    beyond = Param(0.1, "share of the targets' range outside the reachable one; noise and clipping stay below")
    deviations = Param(3.0, "a limit farther from the mean concerns outliers only")
    share = Param(0.1, "of the data's values: of standardized data a tenth of this lies as far beyond a tanh")
    most = Param(0.8, "an odd batch does not count")

    def __call__(self, run: Run) -> Iterator[Finding]:
        yield from self._of_makers(run)
        yield from self._of_widths(run)
        calls = [c for c in run.training_calls(*REGRESSION, *LOGITS, *NORMALIZED) if not c.target_requires_grad]
        if not calls:
            raise NotApplicable("no regression loss or cross-entropy of the framework was called in training")
        known = False
        for site in sorted({c.site for c in calls}):
            here = [c for c in calls if c.site == site]
            last, function = here[-1], run.site(here[-1]).function
            activation = _activation(last, function)
            if len(here) < self.calls.value:
                continue
            known = True
            same = [c for c in here if _activation(c, function) == activation]
            if not activation or len(same) < len(here):
                continue
            if function in LOGITS or function in NORMALIZED:
                text, severity = _on_logits(activation, function, last)
            else:
                outside = [c for c in here if self._outside(c, RANGES.get(activation, (-math.inf, math.inf)))]
                text, severity = "", None
                if len(outside) >= self.most.value * len(here):
                    worst = max(outside, key=lambda c: max(abs(c.target_min), abs(c.target_max)))
                    low, high = RANGES[activation]
                    text = (
                        f"The last activation is {activation} ({low:g} to {high:g}), but the targets of {function} go "
                    )
                    text += f"from {worst.target_min:.3g} to {worst.target_max:.3g}: part of them is out of reach."
            if text:
                between = function in NORMALIZED or _of_scores(last)
                at, path = _of_scores_line(run, here) if between else _where(run, last, activation)
                yield Finding(
                    text,
                    location=at,
                    module=path,
                    evidence={
                        "activation": activation,
                        "function": function,
                        "loss_line": str(run.site(last).location),
                    },
                    severity=severity,
                    onset_step=here[0].step,
                    patch=f"drop-module:{activation}" if between and activation in ("relu", "sigmoid", "tanh") else "",
                )
        if not known:
            raise NotEnoughEvidence(f"fewer than {self.calls.value:.0f} observed calls of a loss")

    def _of_widths(self, run: Run) -> Iterator[Finding]:
        found = noise_width(run)
        tried = [(e.question, e.patch, e.status) for e in run.experiments]
        if found is None or ("C16", without_relu(found), "confirmed") not in tried:
            return
        noise = found.location
        yield Finding(
            f"The noise in {PurePath(noise.file).name}:{noise.line} is as wide as the exponential of what comes out of "
            "a ReLU, at least 1: the model cannot say anything more surely than by a standard normal draw.",
            location=found.relu or noise,
            evidence={"calls": found.calls, "noise": str(noise)},
            patch=without_relu(found),
            fix="Leave the mean and the log-variance without an activation: both may be negative.",
        )

    def _of_makers(self, run: Run) -> Iterator[Finding]:
        """A generator whose last activation cannot make what the discriminator is shown as data."""
        for pair in run.recorded(Opponents) if run.in_regime("gan") else ():
            if (
                not (pair.others and pair.judge_steps and pair.maker_steps)
                or pair.others_outside <= self.share.value * pair.others
            ):
                continue
            low, high = RANGES[pair.made_by]
            maker = run.roots[pair.maker] if pair.maker < len(run.roots) else None
            at, path = _last_of(run, pair.maker, pair.made_by)
            yield Finding(
                f"{maker.name if maker else 'The generator'} ends in {pair.made_by} ({low:g} to {high:g}), and "
                f"{pair.others_outside / pair.others:.0%} of the values of the data beside which it is judged lie "
                f"outside of that (from {pair.others_range[0]:.3g} to {pair.others_range[1]:.3g}): they tell data "
                "from what is made, whatever it makes.",
                location=at or (maker.location if maker else None),
                module=path,
                evidence={"activation": pair.made_by, "outside": pair.others_outside / pair.others,
                          "data": pair.others_range, "made": pair.made_range},
                fix=f"Scale the data into {low:g} to {high:g}." if math.isfinite(high) else "End it in a linear layer.",
            )  # fmt: skip

    def _outside(self, c: LossCall, reach: tuple[float, float]) -> bool:
        margin = self.beyond.value * (c.target_max - c.target_min)
        low, high = reach
        under = low - c.target_min > margin and c.target_mean - low < self.deviations.value * c.target_std
        over = c.target_max - high > margin and high - c.target_mean < self.deviations.value * c.target_std
        if c.target_tenths:
            under, over = under and c.target_tenths[0] < low, over and c.target_tenths[1] > high
        return under or over


def _last_of(run: Run, root: int, activation: str) -> tuple[Location | None, str]:
    """The line of the activation in which a model ends, and its path, if it is a module."""
    called = [m for m in run.modules if m.root == root and m.leaf and m.order >= 0]
    last = max(called, key=lambda m: m.order, default=None)
    if last is None or not last.type.lower().startswith(activation):
        return None, ""
    return own_line(run, last), last.path


def _where(run: Run, c: LossCall, activation: str) -> tuple[Location | None, str]:
    """The line of the last activation, and its path if it is a module."""
    if c.input_module_location and c.input_module_type.lower().startswith(activation):
        module = next((m for m in run.modules if m.path == c.input_module), None)
        return own_line(run, module) if module else c.input_module_location, c.input_module
    called = [m for m in run.modules if m.leaf and m.order >= 0 and m.kind != "loss"]
    ends = [max((m for m in called if m.root == root), key=lambda m: m.order) for root in {m.root for m in called}]
    made = next((m for m in ends if m.location and m.type.lower().startswith(activation)), None)
    if made:
        return own_line(run, made), made.path
    return c.input_module_location or run.site(c).input_location or run.site(c).location, c.input_module


def _of_scores(c: LossCall) -> bool:
    """A log-softmax made the prediction: before a cross-entropy, which makes one itself, it changes nothing."""
    return (c.input_value_op or c.input_op).startswith("LogSoftmax") and bool(c.scores_op)


def _of_scores_line(run: Run, here: list[LossCall]) -> tuple[Location | None, str]:
    """The line of the activation before the softmax or sigmoid, and its path if it is a module."""
    c = next((c for c in here if c.scores_location), here[-1])
    module = next((m for m in run.modules if c.scores_module and m.path == c.scores_module), None)
    return (own_line(run, module) if module else c.scores_location), c.scores_module


def _activation(c: LossCall, function: str) -> str:
    """The kind of the last operation before the loss, in lower case; empty if it limits nothing.

    Where the loss is given (log-)probabilities, that before the softmax or sigmoid that made them.
    """
    if function in NORMALIZED or _of_scores(c):
        kind, made = c.scores_type.lower(), c.scores_op
        if kind.startswith("dropout"):
            return "dropout"
        operation = made.lower().rstrip("0123456789").removesuffix("backward")
        return operation if operation in RANGES else ""
    name = c.input_module_type.lower()
    if name in RANGES or name.startswith("dropout"):
        return "dropout" if name.startswith("dropout") else name
    operation = (c.input_value_op or c.input_op).lower().rstrip("0123456789").removesuffix("backward")
    return operation if operation in RANGES else ""


def _on_logits(activation: str, function: str, c: LossCall) -> tuple[str, Severity | None]:
    what = f"{activation} is applied to the logits before {BETWEEN.get(function, '')}{function}"
    if NORMALIZED.get(function, function) == "binary_cross_entropy_with_logits":
        if activation in ("relu", "softplus", "exp", "relu6"):
            return f"{what}: the probability can never fall below 0.5.", None
        return "", None  # sigmoid: L04
    if activation in ("relu", "relu6", "dropout"):
        consequence = (
            "drops classes at random" if activation == "dropout" else "cannot speak against a class, and may die"
        )
        return f"{what}: it {consequence}.", "warn"
    if activation in ("sigmoid", "tanh", "hardsigmoid", "softsign") and c.classes > 1:
        low, high = RANGES[activation]
        floor = math.log1p((c.classes - 1) * math.exp(low - high))
        return (
            f"{what}: the loss of {c.classes} classes cannot fall below {floor:.3f}.",
            "error" if low == 0 else "warn",
        )
    return "", None


def noise_width(run: Run) -> NoiseWidth | None:
    """Noise whose width a ReLU keeps above 1, and the loss has a term of it."""
    return next((w for w in run.recorded(NoiseWidth) if w.calls >= _WIDTH_CALLS and w.in_loss), None)


def without_relu(width: NoiseWidth) -> str:
    """The patch that leaves the ReLU out."""
    at = width.relu or width.location
    return f"source:unactivated:{PurePath(at.file).name}:{at.line}"
