"""P34: held-out loss that rises while the training loss falls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters.p33_plateau import NO_PROGRESS_MEASURE
from flightcheck.recording.batches import Evaluation
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import Series


@check(
    "P34",
    "instability-or-overfitting",
    severity="warn",
    evidence="T",
    preview=True,
    needs=("evaluations", LOSS),
    fix="Keep the weights of the best evaluation, and add data, augmentation or weight decay.",
)
class InstabilityOrOverfitting(Check):
    """The loss of the evaluations rises for long while the training loss goes on falling.

    ## What it checks
    The mean loss of each evaluation phase: its lowest value lies several evaluations back, the latest ones rise and
    are well above it, and the training loss has fallen since.
    ## Why it matters
    From the lowest point on the model learns the examples, not the task; and what is saved at the end is not the best.
    ## How to fix
    Early stopping, more data, augmentation, weight decay; but first make sure that the data are right.
    ## Source
    CS231n, loss curves; SageMaker Debugger, Overfit and Overtraining. The rule is our own.
    ## Known false alarms
    The accuracy may still rise while the loss does (growing confidence), and a large model may recover: advice only.
    Evaluations without a loss function are not seen; adversarial and similar trainings are not judged.
    """

    evaluations = Param(6, "fewer points show no trend")
    since = Param(3, "evaluations after the best one: one or two worse ones are noise")
    margin = Param(0.2, "of the lowest loss: above the noise of small validation sets")

    def __call__(self, run: Run) -> Iterator[Finding]:
        several = len([o for o in run.optimizers if o.steps]) > 1
        if run.in_regime(*NO_PROGRESS_MEASURE) or run.maximizes or several:
            raise NotApplicable("the losses of this kind of training do not measure progress")
        phases: dict[int, list[Evaluation]] = defaultdict(list)
        for evaluation in run.evaluations:
            if evaluation.loss_value is not None and np.isfinite(evaluation.loss_value) and evaluation.loss_value > 0:
                phases[evaluation.root].append(evaluation)
        watched = [p for p in phases.values() if len(p) >= self.evaluations.value]
        if not watched:
            raise NotEnoughEvidence(f"fewer than {self.evaluations.value:.0f} evaluations with a loss were seen")
        training = run.series(LOSS, 20)
        for phase in watched:
            yield from self._rising(phase, training)

    def _rising(self, phase: list[Evaluation], training: Series) -> Iterator[Finding]:
        values = np.array([e.loss_value for e in phase], dtype=float)
        best = int(values.argmin())
        late = values[-int(self.since.value) :]
        if len(values) - 1 - best < self.since.value or (late <= (1 + self.margin.value) * values[best]).any():
            return
        if (np.diff(late) < 0).any():
            return
        at = int(np.searchsorted(training.steps, phase[best].step))
        width = max(3, len(training) // 20)
        then, now = training.values[max(0, at - width) : at + width], training.values[-2 * width :]
        if not len(then) or not now.mean() < then.mean():
            return
        yield Finding(
            f"The evaluation loss was lowest at step {phase[best].step} ({values[best]:.3g}) and has risen to "
            f"{values[-1]:.3g}, while the training loss fell from {then.mean():.3g} to {now.mean():.3g}: the model "
            "overfits.",
            location=phase[-1].location,
            evidence={"best": float(values[best]), "best_step": phase[best].step, "last": float(values[-1])},
            onset_step=phase[best].step,
        )
