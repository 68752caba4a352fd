"""P41: the function of a LambdaLR returns a learning rate, where a factor is wanted."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import SchedulerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE

FloatArray = NDArray[np.float64]


@check(
    "P41",
    "schedule-returns-rate",
    severity="error",
    evidence="X",
    needs=("schedulers", LEARNING_RATE),
    fix="Let the function return a factor, 1 for the rate that the optimizer was given; or give the optimizer lr=1.0.",
    patch="scheduler:off",
)
class ScheduleReturnsRate(Check):
    """The function of a LambdaLR returns the learning rate itself: what is used is its square.

    ## What it checks
    The learning rates at the steps of an optimizer with a `LambdaLR`, divided by the rate that it was given: the
    largest of these factors is that very rate again, or down to half of it, and under a third. And it is the largest
    one that there will be: the factors fall, or have stood still for long.
    ## Why it matters
    `LambdaLR` multiplies the rate of the optimizer by what its function returns. A function that returns 0.003 leaves
    0.003 × 0.003: the training runs, and hardly moves.
    ## How to fix
    `LambdaLR(optimizer, lambda step: 1 - step / total)`; or keep the function and write `lr=1.0` in the optimizer.
    ## Source
    torch.optim.lr_scheduler.LambdaLR ("sets the initial lr to the initial lr times a given function").
    ## Known false alarms
    A factor that is as small as the rate by chance, and never larger.
    """

    nearest = Param(0.5, "of the rate: a warm-up that meets a decay does not get to the whole of it")
    equal = Param(1.01, "of the rate, which is the peak of what the function returns")
    largest = Param(0.33, "rates of 1, or near it, are given to optimizers whose function returns the rate on purpose")
    steps = Param(20, "a warm-up whose first factors happen to be as small is over by then, or has gone on")

    def __call__(self, run: Run) -> Iterator[Finding]:
        schedules = [s for s in run.schedulers if s.type == "LambdaLR" and s.settings.get("base_lrs")]
        if not schedules:
            raise NotApplicable("no LambdaLR")
        if any(o.state_loaded for o in run.optimizers) or any(self._resumed(s) for s in schedules):
            raise NotEnoughEvidence("resumed training: the largest factor may lie behind it")
        table = run.table(LEARNING_RATE)
        watched = 0
        for schedule in schedules:
            rates = table.column(schedule.optimizer).values
            rates = rates[np.isfinite(rates)]
            watched += len(rates) >= self.steps.value
            if len(rates) >= self.steps.value:
                yield from self._squared(schedule, rates)
        if not watched:
            raise NotEnoughEvidence(f"fewer than {self.steps.value:.0f} recorded learning rates")

    @staticmethod
    def _resumed(schedule: SchedulerInfo) -> bool:
        """It counts more calls than were made."""
        return int(schedule.settings.get("last_epoch", 0)) > schedule.calls + 1

    def _squared(self, schedule: SchedulerInfo, rates: FloatArray) -> Iterator[Finding]:
        given, used = max(float(r) for r in schedule.settings["base_lrs"]), float(rates.max())
        if not 0 < given < self.largest.value:
            return
        if not self.nearest.value * given <= used / given <= self.equal.value * given:
            return
        if self._rises(rates):
            raise NotEnoughEvidence("the factor still rises, or was not asked for again")
        yield Finding(
            f"The function of LambdaLR returns the learning rate and not a factor: the optimizer was given {given:.3g} "
            f"and its largest rate in {len(rates)} steps is {used:.3g}, which is {used / given:.3g} × {given:.3g}.",
            location=schedule.location,
            evidence={"given": given, "largest": used, "factor": used / given},
        )

    def _rises(self, rates: FloatArray) -> bool:
        """The largest rate is the newest one, and has not stood for longer than those before."""
        changed = np.flatnonzero(np.diff(rates)) + 1
        if not len(changed):
            return True
        if rates[-1] < rates.max():
            return False
        longest = float(np.diff([0, *changed]).max())
        return bool(len(rates) - changed[-1] < max(self.steps.value, 3 * longest))
