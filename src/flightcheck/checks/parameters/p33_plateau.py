"""P33: the loss does not fall at all."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS

NO_PROGRESS_MEASURE = (
    "gan", "reinforcement", "contrastive", "self-supervised", "diffusion", "second-order", "finetune",
)  # fmt: skip


@check(
    "P33",
    "plateau",
    severity="warn",
    evidence="T",
    needs=(LOSS, "batches"),
    fix="Look for the cause: this is a symptom. Try to make the model overfit one small batch.",
)
class Plateau(Check):
    """The training loss is where it was at the first step.

    ## What it checks
    After at least 100 steps, the mean loss of the last quarter lies within 1 % (and three standard errors) of that of
    the first steps, although its noise is small enough to see a change.
    ## Why it matters
    A model that learns lowers the loss on its training data soon, even if only by memorizing.
    ## How to fix
    Follow the cause that is reported with it; alone, try other learning rates and a tiny data set.
    ## Source
    SageMaker Debugger's LossNotDecreasing; TheDeepChecker. Criterion and thresholds are our own.
    ## Known false alarms
    Data without any signal, a warm-up that is not over, a long plateau before learning starts ("leave it training"). So
    it is information only; a warning only where the same few batches came again and again and were not even memorized.
    Adversarial, reinforcement, contrastive, diffusion and fine-tuning trainings are not judged.
    """

    steps = Param(100, "enough steps of any sensible learning rate to lower the loss by 1 %")
    change = Param(0.01, "healthy trainings gain more than 1 % in the first steps alone")
    noise = Param(0.005, "the standard error of the difference must stay well below the change that is looked for")
    batches = Param(4, "so few different batches can be memorized")
    repeats = Param(10, "times that each of these batches was seen again")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*NO_PROGRESS_MEASURE) or run.maximizes:
            raise NotApplicable("the loss of this kind of training does not measure progress")
        if len([o for o in run.optimizers if o.steps]) > 1:
            raise NotApplicable("several optimizers: the losses may be those of opponents")
        if any(r.loaded for r in run.roots):
            raise NotApplicable("the model was loaded: it may have converged before")
        series = run.series(LOSS, 40)
        values = series.values[np.isfinite(series.values)]
        span = int(series.steps[-1] - series.steps[0]) + 1
        if span < self.steps.value or len(values) < max(40, 0.9 * len(series)):
            raise NotEnoughEvidence(f"{span} of {self.steps.value:.0f} steps, {len(values)} finite losses")
        first, last = values[: max(5, len(values) // 10)], values[-(len(values) // 4) :]
        start, end = float(first.mean()), float(last.mean())
        if start <= 0 or end <= 0:
            raise NotApplicable("the loss has no floor at 0 to fall towards")
        quick = values[0] > (1 + 3 * self.change.value) * end + 3 * float(
            last.std()
        )  # all was learned in the first step
        error = math.hypot(float(first.std()) / math.sqrt(len(first)), float(last.std()) / math.sqrt(len(last)))
        if quick or abs(end - start) > self.change.value * start + 3 * error:
            return
        if error > self.noise.value * start:
            raise NotEnoughEvidence(f"the loss is too noisy ({error / start:.1%}) to see a change of 1 %")
        if self._warming_up(run):
            raise NotEnoughEvidence("the learning rate is still rising")
        again = self._few_batches(run)
        yield Finding(
            f"The loss is {end:.4g} after {int(series.steps[-1])} steps and was {start:.4g} at the start"
            + (f", although only {again} different batches were seen, again and again." if again else "."),
            location=run.plan.loss_location
            or next((s.location for s in run.loss_sites if s.train_calls), run.plan.backward_location),
            evidence={"first": start, "last": end, "standard_error": error, "different_batches": again},
            onset_step=int(series.steps[0]),
            severity="warn" if again else "info",
        )

    @staticmethod
    def _warming_up(run: Run) -> bool:
        try:
            rates = run.table(LEARNING_RATE, 4).column(0).values
        except NotEnoughEvidence:
            return False
        return len(rates) >= 4 and float(rates[-1]) > 1.2 * float(rates[len(rates) // 2])

    def _few_batches(self, run: Run) -> int:
        """How many different batches were seen, if few and often; else 0."""
        inputs = {(b.root, b.argument) for b in run.batches if b.training and "float" in b.dtype and b.std > 0}
        if len(inputs) != 1:
            return 0
        seen = Counter(b.digest for b in run.batches if b.training and (b.root, b.argument) in inputs)
        return len(seen) if len(seen) <= self.batches.value and min(seen.values()) >= self.repeats.value else 0
