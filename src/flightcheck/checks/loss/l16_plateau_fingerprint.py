"""L16: the loss stands still at a value that has a name."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._baseline import Baseline, baseline
from flightcheck.checks.loss._prediction import last_activation
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS


@check(
    "L16",
    "plateau-fingerprint",
    severity="warn",
    evidence="B",
    needs=(LOSS, "loss_calls"),
    fix="Look for the cause: this is a symptom. The value tells what the model does instead of learning.",
)
class PlateauFingerprint(Check):
    """The loss is stuck at a closed-form value, such as the entropy of the class shares.

    ## What it checks
    The second half of the loss is flat, and its mean equals a known constant within three standard errors and 0.5 %:
    the score of the best constant prediction (class-share entropy, ln 2, variance of the targets), ln C, or the floor
    of probabilities used as logits.
    ## Why it matters
    The constant names what the model does: it ignores its input, or its outputs cannot leave a small range.
    ## How to fix
    Follow the cause that is reported with it.
    ## Source
    Closed forms derived from the losses.
    ## Known false alarms
    Tasks without any signal end at the same value. So it is information only, and a warning only where the predictions
    in the second half of the steps are also equal for all examples, or probabilities entered a loss for logits.
    """

    steps = Param(60, "two halves of 30 losses give a standard error worth comparing")
    relative = Param(0.005, "closed forms agree within rounding; batch noise is covered by the standard error")
    noise = Param(0.02, "with a larger standard error too many values fit")
    flat = Param(0.01, "largest distance of the means of four blocks, beyond their noise")
    spread = Param(0.02, "logits (or outputs in units of the targets' deviation) that differ less are constant")

    def __call__(self, run: Run) -> Iterator[Finding]:
        base = baseline(run, int(self.steps.value))
        half = base.losses[len(base.losses) // 2 :]
        mean = float(half.mean())
        quarters = np.array_split(half, 4)
        blocks = [float(b.mean()) for b in quarters]
        error = math.sqrt(float(np.mean([b.var() for b in quarters])) / len(half))
        if max(blocks) - min(blocks) > self.flat.value * abs(mean) + 2 * 3 * error:
            return
        if error * 3 > self.noise.value * abs(mean):
            raise NotEnoughEvidence("the loss is too noisy to compare with a constant")
        bounded = any(last_activation(c) in ("sigmoid", "softmax") for c in base.calls)
        for value, name, floor in self._constants(base, bounded):
            if abs(mean - value) > max(self.relative.value * value, min(3 * error, 2 * self.relative.value * value)):
                continue
            constant = self._constant_predictions(base)
            yield Finding(
                f"The loss has stood at {mean:.4f} since step {base.steps[len(base.losses) // 2]}: that is "
                f"{name} ({value:.4f})" + (", and all predictions are equal." if constant else "."),
                location=base.site.location,
                evidence={"loss": mean, "constant": value, "constant_predictions": constant},
                onset_step=base.steps[len(base.losses) // 2],
                severity="warn" if constant or floor else "info",
            )
            return

    @staticmethod
    def _constants(base: Baseline, bounded: bool) -> Iterator[tuple[float, str, bool]]:
        """Value, name, and whether it is the floor of a fault that was seen."""
        classes = base.calls[-1].classes
        categorical = base.site.function == "cross_entropy" and classes > 1
        if bounded and categorical:
            yield math.log1p((classes - 1) / math.e), "the floor of probabilities used as logits", True
        if bounded and base.site.function == "binary_cross_entropy_with_logits":
            p = float(np.mean([c.target_mean for c in base.calls]))
            yield p * math.log1p(1 / math.e) + (1 - p) * math.log(2), "the floor of probabilities used as logits", True
        yield base.value, f"{base.name}, the score of a constant prediction", False
        if categorical:
            yield math.log(classes), f"ln {classes}, the score of equal outputs", False

    def _constant_predictions(self, base: Baseline) -> bool:
        late = [c for c in base.late if c.input_shape and c.input_shape[0] > 1]
        scale = max((c.target_std for c in late), default=1.0) if base.site.function == "mse_loss" else 1.0
        spreads = [c.input_column_spread for c in late]
        return bool(spreads) and all(s is not None and s < self.spread.value * scale for s in spreads)
