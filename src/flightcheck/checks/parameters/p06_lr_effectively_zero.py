"""P06: a learning rate that is zero while training goes on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import OptimizerInfo, SchedulerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, UPDATE_NORM
from flightcheck.recording.tables import Series

CONSTANT: Final = "scheduler:off"
_LITTLE: Final = 0.02
"""Of the peak: cosines are there in the last tenth of a run, tenths at 60 and 90 % of it at its end."""
_EARLY: Final = 0.5
"""Of the run."""
_FEWEST: Final = 20
"""Recorded rates."""


@check(
    "P06",
    "lr-effectively-zero",
    severity="error",
    evidence="X",
    needs=(LEARNING_RATE,),
    fix="Stretch the schedule to the whole run, and let warm-up start above zero.",
    patch=CONSTANT,
)
class LrEffectivelyZero(Check):
    """The learning rate of an optimizer is zero, or a millionth of its peak, while training goes on.

    ## What it checks
    The largest learning rate over the groups, at each step: zero or under 1e-6 of its peak from some step on, with
    more than a tenth of the run left. And a rate under a fiftieth of its peak from the first half of a finished run on:
    told only if a trial at a constant rate takes away a third of the error of the evaluations.
    ## Why it matters
    The script computes forward, backward and step, and nothing moves: the rest of the run is wasted.
    ## How to fix
    Correct the length of the schedule, an integer division in a lambda, or a warm-up counted in the wrong unit.
    ## Source
    Karpathy, A Recipe for Training Neural Networks (a decay that silently drives the rate to zero).
    ## Known false alarms
    The first step of a warm-up and the last steps of an annealing may be zero; rates near zero between two cycles end
    again. Optimizers that choose the rate themselves (Adafactor) are recognized by weights that still move.
    """

    share = Param(1e-6, "no annealing in use ends below 1e-4 of its peak except at its very last steps")
    left = Param(0.1, "the last tenth of a run may be annealed to nothing")
    samples = Param(10, "a warm-up that starts at 0, or the valley of a cycle, is over after a few steps")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = [o for o in run.optimizers if o.steps]
        if not stepping:
            raise NotApplicable("no optimizer stepped")
        table = run.table(LEARNING_RATE)
        watched = 0
        for optimizer in stepping:
            series = table.column(optimizer.index)
            if len(series) < 2 * self.samples.value or not np.isfinite(series.values).all():
                continue
            watched += 1
            finding = self._zero(run, optimizer, series)
            if finding:
                yield finding
        yield from self._early(run)
        if not watched:
            raise NotEnoughEvidence(f"fewer than {2 * self.samples.value:.0f} recorded learning rates")

    @staticmethod
    def _early(run: Run) -> Iterator[Finding]:
        optimizer = early_decay(run)
        shown = any((e.question, e.patch, e.status) == ("P06", CONSTANT, "confirmed") for e in run.experiments)
        if optimizer is None or not shown:
            return
        rates = run.table(LEARNING_RATE).column(optimizer.index)
        at = _onset(rates, _LITTLE)
        scheduler = next((s for s in run.schedulers if s.optimizer == optimizer.index), None)
        place = scheduler.location if scheduler else optimizer.lr_write_location
        yield Finding(
            f"The learning rate of {optimizer.type} is under a fiftieth of its peak of {rates.values.max():.2g} from "
            f"step {at} of {run.info.steps} on: hardly anything is learnt after that, and there is much left to learn.",
            location=place or optimizer.lr_location or optimizer.location,
            evidence={"peak": float(rates.values.max()), "last": float(rates.values[-1]), "onset": at},
            onset_step=at,
            severity="warn",
            parameters=tuple(sorted(set(optimizer.parameters))),
            fix="Let the rate fall more slowly: such as a larger gamma, or steps of the schedule farther apart.",
        )

    def _zero(self, run: Run, optimizer: OptimizerInfo, series: Series) -> Finding | None:
        steps, rates = series.steps, series.values
        peak = float(np.abs(rates).max())
        gone = np.abs(rates) <= self.share.value * peak
        if not gone[-1]:
            return None
        alive = np.flatnonzero(~gone)
        first = int(alive[-1]) + 1 if len(alive) else 0
        onset = int(steps[first])
        planned = (run.plan.epochs or 0) * (run.plan.steps_per_epoch or 0)
        end = max(planned, int(steps[-1]) + 1)
        if len(rates) - first < self.samples.value or onset > (1 - self.left.value) * end:
            return None
        if not rates[-1] and self._moves(run, optimizer, onset):
            return None
        scheduler = next((s for s in run.schedulers if s.optimizer == optimizer.index), None)
        waiting = not len(alive) and scheduler is not None and scheduler.calls == 0
        changed = scheduler.location if scheduler else optimizer.lr_write_location
        each_batch = self._is_called_in_each_batch(run, scheduler) and len(alive) > 0
        if each_batch and scheduler is not None:  # its length may be one of epochs: the call is where one would mend it
            changed = scheduler.step_location or changed
        rest = 100 * (end - onset) / end
        message = (
            f"The learning rate of {optimizer.type} is 0 in all {len(rates)} observed steps: nothing learns."
            if not len(alive)
            else f"The learning rate of {optimizer.type} fell from {peak:.2g} to {abs(rates[-1]):.2g} at step {onset} "
            f"and stays there: {rest:.0f} % of the run of {end} steps changes nothing."
        )
        return Finding(
            message,
            location=changed or optimizer.lr_location or optimizer.location,
            evidence={"peak": peak, "last": float(rates[-1]), "onset": onset, "steps": end},
            onset_step=onset,
            severity="warn" if waiting else None,
            parameters=tuple(sorted(set(optimizer.parameters))),
            fix="The schedule starts at factor 0 and stays there until its next call: start warm-up above zero."
            if waiting
            else "It is called after each batch: count its length in batches, or call it once an epoch."
            if each_batch
            else "",
        )

    @staticmethod
    def _is_called_in_each_batch(run: Run, scheduler: SchedulerInfo | None) -> bool:
        per_call = scheduler.optimizer_steps_per_call if scheduler is not None else None
        return per_call is not None and per_call <= 1 < (run.plan.steps_per_epoch or 0)

    def _moves(self, run: Run, optimizer: OptimizerInfo, onset: int) -> bool:
        """The weights change nevertheless: the recorded rate is not the one the optimizer uses."""
        try:
            table = run.table(UPDATE_NORM)
        except NotEnoughEvidence:
            return False
        later = table.steps > onset
        columns = [p for p in optimizer.parameters if p < table.values.shape[1]]
        return bool(columns) and bool((table.values[later][:, columns] > 0).any())


def early_decay(run: Run) -> OptimizerInfo | None:
    """The only optimizer of a finished run, if its rate is small from the first half on."""
    stepping = [o for o in run.optimizers if o.steps]
    if run.info.ended != "finished" or len(stepping) != 1:
        return None
    try:
        rates = run.table(LEARNING_RATE).column(stepping[0].index)
    except NotEnoughEvidence:
        return None
    if len(rates) < _FEWEST or not np.isfinite(rates.values).all():
        return None
    return stepping[0] if 0 < _onset(rates, _LITTLE) < _EARLY * run.info.steps else None


def _onset(rates: Series, share: float) -> int:
    """The step from which on the rate stays under this share of its peak; 0 if it ends above."""
    above = np.flatnonzero(rates.values > share * rates.values.max())
    last = int(above[-1]) + 1 if len(above) else 0
    return int(rates.steps[last]) if 0 < last < len(rates) else 0
