"""P04: a scheduler that is called at the wrong place."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._accuracies import is_share_of_right_answers
from flightcheck.recording.records import SchedulerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

OVERWRITING = {"LambdaLR", "OneCycleLR", "CyclicLR", "CosineAnnealingWarmRestarts"}
"""These set the rate from its initial value at every call, whatever another scheduler made of it."""
COMPOSITE = {"SequentialLR", "ChainedScheduler"}
FRACTIONAL = {"CosineAnnealingWarmRestarts"}
"""These take parts of an epoch as an argument."""


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
    given a falling loss, or `mode="min"`, the default, that is given a growing accuracy (values that are shares of
    one number of examples, and grow to more than a half while the training loss falls; or that are, in two or more
    evaluations, what a line counted as equal, over how many it compared); the number of the epoch in the
    place of a metric, or a metric in the place of that number, which all other schedulers take.
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
    growth = Param(0.02, "an accuracy that grew by less, or by less than three standard errors, may be standing still")
    examples = Param(9999, "shares of more examples cannot be told from other numbers in single precision")

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
            wrong = list(self._wrong_argument(run, scheduler)) or list(self._wrong_mode(run, scheduler))
            yield from wrong
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

    def _wrong_argument(self, run: Run, scheduler: SchedulerInfo) -> Iterator[Finding]:
        """A loss in the place of the number of the epoch, or that number in the place of a metric."""
        plateau = scheduler.type == "ReduceLROnPlateau"
        calls = [c for c in run.calls if c.kind == "scheduler_step" and c.subject == scheduler.index]
        given = [float(c.data[k]) for c in calls for k in ("metric" if plateau else "epoch",) if k in c.data]
        if len(given) < max(self.metrics.value, len(calls)) or scheduler.type in FRACTIONAL:
            return
        counts = all(g.is_integer() for g in given)
        if plateau and counts and all(b - a == 1 for a, b in pairwise(given)):
            what = (
                f"is given the number of the epoch ({given[0]:g}, {given[1]:g}, {given[2]:g} …) as its metric, which "
            )
            what += "grows at each call: it takes this for stagnation and cuts the learning rate."
            fix = "Give it what is to become better: scheduler.step(validation_loss)."
        elif not plateau and not counts and any(b < a for a, b in pairwise(given)):
            what = "takes the number of the epoch as its argument, but is given another number ("
            what += ", ".join(f"{g:.3g}" for g in given[:3]) + " …): the learning rate is that of such an epoch."
            fix = "Call scheduler.step() without an argument: only ReduceLROnPlateau takes a metric."
        else:
            return
        yield Finding(
            f"{scheduler.type}.step() {what}",
            location=scheduler.step_location or scheduler.location,
            evidence={"given": given[:8], "calls": len(given)},
            onset_step=calls[int(self.metrics.value) - 1].step if plateau else 0,
            fix=fix,
            patch="scheduler:off",
        )

    def _wrong_mode(self, run: Run, scheduler: SchedulerInfo) -> Iterator[Finding]:
        if scheduler.type != "ReduceLROnPlateau" or run.in_regime("reinforcement", "gan"):
            return
        calls = [
            c
            for c in run.calls
            if c.kind == "scheduler_step" and c.subject == scheduler.index and np.isfinite(c.data.get("metric", np.nan))
        ]
        seen = [float(c.data["metric"]) for c in calls]
        if scheduler.settings.get("mode") != "max" and is_share_of_right_answers(run, calls):
            yield Finding(
                "ReduceLROnPlateau waits for a smaller metric (mode='min', the default), but is given the share of "
                f"answers that equal their label ({', '.join(f'{s:.3g}' for s in seen[:3])} …): it takes every "
                "improvement for a plateau and cuts the learning rate.",
                location=scheduler.location,
                evidence={"first": seen[0], "last": seen[-1], "calls": len(seen)},
                fix="Use mode='max' for an accuracy, or give it the validation loss.",
                patch="scheduler:off",
            )
            return
        if len(seen) < self.metrics.value or min(seen) < 0:
            return
        if scheduler.settings.get("mode") == "max":
            yield from self._waits_for_a_larger_loss(scheduler, seen)
        elif self._is_growing_accuracy(seen) and _loss_falls(run):
            yield Finding(
                f"ReduceLROnPlateau waits for a smaller metric (mode='min', the default), but its metric grows as an "
                f"accuracy does while the loss falls: {seen[0]:.3g} → {seen[-1]:.3g} in {len(seen)} calls. It takes "
                "the improvement for a plateau and cuts the learning rate.",
                location=scheduler.location,
                evidence={"first": seen[0], "last": seen[-1], "calls": len(seen)},
                onset_step=max(c.step for c in calls),
                fix="Use mode='max' for an accuracy, or give it the validation loss.",
                patch="scheduler:off",
            )

    def _waits_for_a_larger_loss(self, scheduler: SchedulerInfo, seen: list[float]) -> Iterator[Finding]:
        falling = sum(b <= a for a, b in pairwise(seen)) >= 0.6 * (len(seen) - 1)
        if min(seen) > 0 and falling and median(seen[-2:]) < (1 - self.fall.value) * seen[0]:
            yield Finding(
                f"ReduceLROnPlateau waits for a larger metric (mode='max'), but its metric falls as a loss does: "
                f"{seen[0]:.3g} → {seen[-1]:.3g} in {len(seen)} calls. It will cut the learning rate during progress.",
                location=scheduler.location,
                evidence={"first": seen[0], "last": seen[-1], "calls": len(seen)},
                fix="Use mode='min' for a loss.",
                patch="scheduler:off",
            )

    def _is_growing_accuracy(self, seen: list[float]) -> bool:
        """Shares of one number of examples that grow to more than a half.

        A loss is no multiple of 1/n, and a share of errors does not grow past a half while the training loss falls.
        """
        rows = 100 if max(seen) > 1 else 1
        shares = [s / rows for s in seen]
        n = _common_denominator(shares, int(self.examples.value))
        if n is None or max(shares) > 1 or sum(b >= a for a, b in pairwise(shares)) < 0.6 * (len(shares) - 1):
            return False
        first, last = shares[0], median(shares[-2:])
        noise = np.sqrt((first * (1 - first) + last * (1 - last)) / n)
        return last > 0.5 and last - first > max(3 * noise, self.growth.value)

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


def _common_denominator(shares: list[float], most: int) -> int | None:
    """The smallest n of which all the shares are multiples of 1/n, as exactly as single precision tells; else None."""
    n = np.arange(1, most + 1)
    counts = np.outer(n, sorted(set(shares))[:12])
    exact = (np.abs(counts - counts.round()) < 1e-3).all(1)
    # Each row holds for any numbers with a probability of 0.002 to the power of their count.
    return int(n[exact][0]) if exact.any() and len(set(shares)) > 2 else None


def _loss_falls(run: Run) -> bool:
    losses = run.series(LOSS).values
    losses = losses[np.isfinite(losses)]
    tenth = max(len(losses) // 10, 1)
    return len(losses) > 1 and float(np.mean(losses[-tenth:])) < float(np.mean(losses[:tenth]))
