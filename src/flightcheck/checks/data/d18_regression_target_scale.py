"""D18: a regression target that the output layer has to travel far to reach."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import REGRESSION, target_moments
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

LINEAR = ("Addmm", "Linear", "Addbmm", "Mm", "View", "UnsafeView", "Squeeze", "Convolution", "MkldnnConv", "Reshape")
SILENT = ("gan", "reinforcement", "contrastive", "self-supervised", "diffusion", "finetune")


@check(
    "D18",
    "regression-target-scale",
    severity="warn",
    evidence="H",
    needs=("loss_calls",),
    fix="Standardize the target with its training mean and standard deviation, and scale predictions back.",
    patch="targets:standardize",
)
class RegressionTargetScale(Check):
    """A regression target on a scale that the network cannot reach in its steps.

    ## What it checks
    Targets of mse, l1, smooth-l1 or huber loss predicted by a plain linear layer whose typical size is above 30,
    below 0.01, or whose mean is more than 10 standard deviations from 0 — and a loss that in the last quarter of the
    watched steps is still worse than predicting the mean of the targets.
    ## Why it matters
    A fresh network predicts values near 0 with a spread near 1. All its steps go into moving the output to the
    target's mean and size, the gradients have the target's size, and nothing is learned of the inputs.
    ## How to fix
    Train on `(y - y.mean()) / y.std()`, or start the last bias at the mean of y.
    ## Source
    Karpathy, A Recipe for Training Neural Networks: initialize the final bias well. The limits are ours.
    ## Known false alarms
    Any other cause that keeps a loss above that of the mean looks alike when the target is large as well.
    """

    large = Param(30, "a fresh linear head predicts values of about 1")
    small = Param(0.01, "the noise of a fresh head is a hundred times larger")
    offset = Param(10, "the mean hides what is to be learned")
    calls = Param(12, "the last quarter needs at least three losses")
    steps = Param(50, "before that any network is still near its start")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*SILENT):
            raise NotApplicable("the target of this kind of training is not given by the data")
        regressions = [c for c in run.training_calls(*REGRESSION) if not c.target_requires_grad]
        if not regressions:
            raise NotApplicable("no regression loss of the framework")
        judged = 0
        for site in run.loss_sites:
            calls = [c for c in regressions if c.site == site.index and c.value is not None]
            if site.settings.get("reduction", "mean") != "mean" or not self._linear(calls):
                continue
            if len(calls) < self.calls.value or calls[-1].step < self.steps.value:
                continue
            judged += 1
            variance, square = target_moments(calls)
            size, spread = math.sqrt(square), math.sqrt(variance)
            if not (math.isfinite(size) and spread > 0):
                continue
            mean = float(np.mean([c.target_mean for c in calls]))
            far = abs(mean) > self.offset.value * spread and size > 1
            if self.small.value <= size <= self.large.value and not far:
                continue
            late = median([c.value for c in calls[-max(3, len(calls) // 4) :] if c.value is not None])
            limit = variance if site.function == "mse_loss" else self._absolute(site.function, spread)
            if not late > limit:
                continue
            yield Finding(
                f"The target has mean {mean:.3g} and standard deviation {spread:.3g}; after {calls[-1].step} steps the "
                f"loss is {late:.3g}, still worse than predicting the mean ({limit:.3g}).",
                location=site.target_origin or site.location,
                evidence={"mean": mean, "std": spread, "loss": late, "loss_of_the_mean": limit},
            )
        if not judged:
            raise NotEnoughEvidence(f"no regression loss with {self.calls.value:.0f} observed calls and a linear head")

    def _linear(self, calls: list[LossCall]) -> bool:
        """The prediction comes from a linear layer, with nothing but changes of shape after it."""
        return bool(calls) and all(
            "Linear" in c.input_module_type or (c.input_value_op or c.input_op).startswith(LINEAR) for c in calls
        )

    def _absolute(self, function: str, spread: float) -> float:
        """The loss of predicting the mean, for losses that grow linearly."""
        return spread if function == "l1_loss" else max(spread - 0.5, 0.5 * spread**2 if spread < 1 else 0.0)
