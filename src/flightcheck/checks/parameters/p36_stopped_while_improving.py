"""P36: a training that ends while its loss still falls."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters.p33_plateau import NO_PROGRESS_MEASURE
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.recording.tables import Floats


@check(
    "P36",
    "stopped-while-improving",
    severity="warn",
    evidence="T",
    preview=True,
    needs=(LOSS, LEARNING_RATE),
    fix="Train longer, with the schedule stretched to the new length.",
)
class StoppedWhileImproving(Check):
    """The script ends while the training loss still falls by much.

    ## What it checks
    The mean loss of eight blocks of the second half of a finished run, against the logarithm of the step: a line that
    falls beyond doubt, and by which twice as many steps would gain more than a tenth of all that was gained.
    ## Why it matters
    Too few epochs is among the most frequent reasons for a poor model, and the cheapest to repair.
    ## How to fix
    Two or four times the steps; then look at the loss on held-out data again.
    ## Source
    Published sets of repaired programs (more epochs: 18 of 52). The rule is our own.
    ## Known false alarms
    Demonstrations, tests and sweeps with a budget end early on purpose, therefore it is advice only. A learning rate
    that was annealed to under a tenth says that the end was planned.
    """

    steps = Param(100, "shorter runs are demonstrations, and everything still falls in them")
    gain = Param(0.1, "of the loss gained so far, by twice the steps: below, longer training is a matter of taste")
    certainty = Param(4.0, "standard errors of the slope over eight blocks: p < 0.01 with six degrees of freedom")
    annealed = Param(0.1, "of the peak: schedules end there")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*NO_PROGRESS_MEASURE) or run.maximizes:
            raise NotApplicable("the loss of this kind of training does not measure progress")
        if len([o for o in run.optimizers if o.steps]) != 1:
            raise NotApplicable("not one optimizer: the losses may be those of opponents")
        if run.info.ended not in ("finished", "exit"):
            raise NotEnoughEvidence("the training was not watched to its end")
        series = run.series(LOSS, 40)
        if run.info.steps < self.steps.value or not np.isfinite(series.values).all():
            raise NotEnoughEvidence(f"{run.info.steps} of {self.steps.value:.0f} steps, or losses that are not finite")
        if self._annealed(run):
            return
        half = int(np.searchsorted(series.steps, run.info.steps / 2))
        if len(series) - half < 24:
            raise NotEnoughEvidence("too few losses of the second half were recorded")
        slope, error, last = _line(series.steps[half:].astype(float), series.values[half:])
        first = float(np.mean(series.values[: max(3, len(series) // 50)]))
        gained, coming = first - last, -slope * math.log(2)
        if gained <= 0 or -slope < self.certainty.value * error or coming <= self.gain.value * gained:
            return
        yield Finding(
            f"The loss fell from {first:.3g} to {last:.3g} in {run.info.steps} steps and still falls: twice as many "
            f"would bring about {max(last - coming, 0.0):.3g}.",
            location=run.plan.backward_location,
            evidence={"first": first, "last": last, "expected_gain": coming, "steps": run.info.steps},
        )

    def _annealed(self, run: Run) -> bool:
        try:
            rates = run.table(LEARNING_RATE, 2).column(next(o.index for o in run.optimizers if o.steps)).values
        except NotEnoughEvidence:
            return False
        return len(rates) > 1 and float(rates[-1]) < self.annealed.value * float(rates.max())


def _line(steps: Floats, values: Floats) -> tuple[float, float, float]:
    """Slope of the means of eight blocks over log(step), its standard error, and the mean of the last block."""
    blocks = np.array_split(np.arange(len(values)), 8)
    x = np.log(np.array([steps[b].mean() for b in blocks]) + 1.0)
    y = np.array([values[b].mean() for b in blocks])
    x = x - x.mean()
    slope = float((x * y).sum() / (x * x).sum())
    rest = y - y.mean() - slope * x
    return slope, math.sqrt(float((rest * rest).sum()) / 6 / float((x * x).sum())), float(y[-1])
