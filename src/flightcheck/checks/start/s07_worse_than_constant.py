"""S07: the model is worse than the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._baseline import Baseline, baseline
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median


@check(
    "S07",
    "worse-than-constant",
    severity="warn",
    evidence="T",
    needs=(LOSS, "loss_calls"),
    fix="Look for the cause: this is a symptom. A model that ignores its input would score better.",
)
class WorseThanConstant(Check):
    """After some training, always predicting the mean (or the class shares) would still score better.

    ## What it checks
    The best constant prediction on the observed targets has a closed form: the entropy of the class shares for
    cross-entropy, the variance for squared error. The median loss of the last quarter of the steps lies clearly above
    it, and the loss no longer falls.
    ## Why it matters
    Anything the model learned from its inputs does harm: a fault in the learning rate, the loss or the data is near.
    ## How to fix
    Follow the cause that is reported with it; alone, try a smaller learning rate and check that inputs and targets
    belong together.
    ## Source
    Karpathy, "A recipe for training neural networks" (input-independent baseline).
    ## Known false alarms
    Losses with moving targets that are not recognized as such. Weighted or smoothed losses, several loss terms, and
    trainings of opponents, agents and representations are not judged.
    """

    margin = Param(1.1, "hard and noisy tasks hover at the constant; 10 % above it is beyond their noise")
    steps = Param(100, "earlier a healthy training may not have come below the constant yet")
    falling = Param(0.02, "a loss that fell by 2 % from the third to the last quarter is still on its way")

    def __call__(self, run: Run) -> Iterator[Finding]:
        base = baseline(run, 40)
        if base.steps[-1] - base.steps[0] + 1 < self.steps.value:
            raise NotEnoughEvidence(f"{base.steps[-1] - base.steps[0] + 1} of {self.steps.value:.0f} steps")
        third, last = np.array_split(base.losses, 4)[2:]
        now, before = median(last), median(third)
        error = 1.25 * 1.4826 * median(np.abs(last - now)) / math.sqrt(len(last))
        limit = self.margin.value * base.value
        if now - 3 * error <= limit:
            return
        if now < (1 - self.falling.value) * before:
            raise NotEnoughEvidence(f"the loss is above the constant's {base.value:.4g} but still falling")
        self._same_targets(base, limit)
        yield Finding(
            f"After {base.steps[-1]} steps the loss is {now:.4g} and does not fall; a constant prediction would score "
            f"{base.value:.4g} ({base.name}).",
            location=base.site.location,
            evidence={"loss": now, "constant": base.value, "limit": limit},
            onset_step=base.steps[0],
        )

    @staticmethod
    def _same_targets(base: Baseline, limit: float) -> None:
        """The targets of the second half are those of the first: no moving targets."""
        early = [c for c in base.calls if c not in base.late]
        if not base.late or not early:
            raise NotEnoughEvidence("no loss call was observed in the second half of the steps")
        spread = [float(np.mean([c.target_std for c in calls])) for calls in (early, base.late)]
        middle = [float(np.mean([c.target_mean for c in calls])) for calls in (early, base.late)]
        scale = max(*spread, 1e-12)
        if min(spread) < 0.5 * scale or abs(middle[0] - middle[1]) > 0.5 * scale:
            raise NotEnoughEvidence("the targets changed during training")
        if any(c.value is not None and c.value < limit for c in base.late):
            raise NotEnoughEvidence("some late batches score better than the constant")
