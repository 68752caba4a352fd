"""P04: a scheduler that is called at the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import SchedulerInfo
from flightcheck.recording.run import Run

OVERWRITING = {"LambdaLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts"}
"""These set the rate from its initial value at every call, whatever another scheduler made of it."""
COMPOSITE = {"SequentialLR", "ChainedScheduler"}


@check(
    "P04",
    "scheduler-order",
    severity="warn",
    evidence="X",
    needs=("schedulers", "calls"),
    fix="Call scheduler.step() after optimizer.step(), and give a metric scheduler the mode of its metric.",
)
class SchedulerOrder(Check):
    """A learning-rate scheduler is called before the optimizer, against another scheduler, or with the wrong mode.

    ## What it checks
    Calls of `scheduler.step()` before the optimizer's first step; after steps that the gradient scaler skipped; two
    schedulers in turn on one optimizer of which one overwrites the other; `ReduceLROnPlateau(mode="max")` that is
    given a falling loss.
    ## Why it matters
    A scheduler that goes first skips the first value of the schedule. A scheduler in the wrong mode takes progress
    for stagnation and cuts the learning rate.
    ## How to fix
    `optimizer.step()` first, `scheduler.step()` after it; one scheduler per optimizer, or `SequentialLR`.
    ## Source
    PyTorch ≥ 1.1 contract ("call optimizer.step() before lr_scheduler.step()"), and its warning.
    ## Known false alarms
    Moving a fresh scheduler forward before a resumed run, players of a GAN that step later than their schedulers, and
    steps skipped by the scaler in the usual order are info only.
    """

    metrics = Param(4, "fewer values of a metric have no direction")
    fall = Param(0.2, "a metric that lost a fifth of its value while the schedule waited for it to grow is a loss")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.schedulers:
            raise NotApplicable("no learning-rate scheduler")
        if not any(s.calls for s in run.schedulers):
            raise NotEnoughEvidence("no scheduler was called in the watched steps")
        if not any(o.steps for o in run.optimizers):
            raise NotEnoughEvidence("no optimizer stepped")
        for scheduler in run.schedulers:
            yield from self._too_early(run, scheduler)
            yield from self._skipped(scheduler)
            yield from self._wrong_mode(run, scheduler)
        yield from self._rivals(run)

    def _too_early(self, run: Run, scheduler: SchedulerInfo) -> Iterator[Finding]:
        early = scheduler.calls_before_first_step
        optimizer = next((o for o in run.optimizers if o.index == scheduler.optimizer), None)
        if not early or optimizer is None or not optimizer.steps:
            return
        calls = [c for c in run.calls if c.kind in {"backward", "step", "scaler_skip", "scheduler_step"}]
        first_step = next((i for i, c in enumerate(calls) if c.kind == "step" and c.subject == optimizer.index), 0)
        before = calls[:first_step]
        elsewhere = any(c.kind in {"step", "scaler_skip"} for c in before)
        untrained = [
            c.kind for c in before[: next((i for i, c in enumerate(before) if c.kind == "backward"), len(before))]
        ]
        forwarded = early > 1 and untrained.count("scheduler_step") >= early
        excused = elsewhere or forwarded
        yield Finding(
            f"{scheduler.type}.step() was called {early} time{'s' if early > 1 else ''} before the first "
            f"{optimizer.type}.step(): the schedule runs ahead of the training by that much.",
            location=scheduler.step_location or scheduler.location,
            evidence={"calls_before_first_step": early, "calls": scheduler.calls},
            severity="info" if excused else None,
            fix="Move scheduler.step() behind optimizer.step().",
        )

    def _skipped(self, scheduler: SchedulerInfo) -> Iterator[Finding]:
        if scheduler.calls_after_skipped_step:
            yield Finding(
                f"{scheduler.type}.step() was called {scheduler.calls_after_skipped_step} times although the gradient "
                "scaler had skipped the optimizer's step.",
                location=scheduler.step_location or scheduler.location,
                evidence={"calls_after_skipped_step": scheduler.calls_after_skipped_step},
                severity="info",
                fix="Call scheduler.step() only if the scale did not fall in scaler.update().",
            )

    def _wrong_mode(self, run: Run, scheduler: SchedulerInfo) -> Iterator[Finding]:
        if scheduler.type != "ReduceLROnPlateau" or scheduler.settings.get("mode") != "max":
            return
        if run.in_regime("reinforcement", "gan"):
            return
        calls = [c for c in run.calls if c.kind == "scheduler_step" and c.subject == scheduler.index]
        seen = [float(m) for c in calls if (m := c.data.get("metric")) is not None and np.isfinite(m)]
        if len(seen) < self.metrics.value or min(seen) <= 0:
            return
        falling = sum(b <= a for a, b in pairwise(seen)) >= 0.6 * (len(seen) - 1)
        if falling and np.median(seen[-2:]) < (1 - self.fall.value) * seen[0]:
            yield Finding(
                f"ReduceLROnPlateau waits for a larger metric (mode='max'), but its metric falls as a loss does: "
                f"{seen[0]:.3g} → {seen[-1]:.3g} in {len(seen)} calls. It will cut the learning rate during progress.",
                location=scheduler.location,
                evidence={"first": seen[0], "last": seen[-1], "calls": len(seen)},
                fix="Use mode='min' for a loss.",
            )

    def _rivals(self, run: Run) -> Iterator[Finding]:
        called = [s for s in run.schedulers if s.calls >= 3 and s.step_location]
        if any(s.type in COMPOSITE for s in run.schedulers):
            return
        for one in called:
            for other in called:
                if one.index == other.index or one.optimizer != other.optimizer or one.type not in OVERWRITING:
                    continue
                if one.step_location == other.step_location or (other.type in OVERWRITING and other.index < one.index):
                    continue
                order = [c.subject for c in run.calls if c.kind == "scheduler_step"]
                turns = [s for s in order if s in (one.index, other.index)]
                if sum(a != b for a, b in pairwise(turns)) >= 4:
                    yield Finding(
                        f"{one.type} and {other.type} both set the learning rate of one optimizer in turn; "
                        f"{one.type} computes it from the initial value and so undoes what {other.type} did.",
                        location=other.location,
                        evidence={"schedulers": [one.type, other.type]},
                        fix="Keep one scheduler, or combine them with SequentialLR.",
                    )
