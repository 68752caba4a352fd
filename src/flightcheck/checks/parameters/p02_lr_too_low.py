"""P02: a learning rate with which training takes many times as long as it need."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._reach import farthest
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.rates import highest_rate, written_rate
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS
from flightcheck.recording.tables import median


@check(
    "P02",
    "lr-too-low",
    severity="warn",
    evidence="T",
    needs=("experiments",),
    fix="Raise the learning rate by a factor of ten.",
)
class LrTooLow(Check):
    """With ten times (or a hundred times) the learning rate, the first steps achieve more than five times as much.

    ## What it checks
    Trials from the same initialization on the same batches at ten times the rate, and at a hundred times if that one
    is stable but does not suffice: the loss must fall by five times as much as at the script's own rate, by 5 % of
    its start, and by more than in all the steps that were watched, in each of three seeds. Schedules that warm up are
    not judged unless they still do in a good part of the planned steps, nor losses that go below zero; fine-tuning is
    not tried. Where the loops of the script plan so many steps that its own rate gets as far by then (the factor
    times those of the trial), it is a note, unless more than a fifth of the error is left at the planned end (of
    3000 steps at most), and a trial up to there leaves half of that.

    Of agents and of players against each other, whose losses measure no progress: the updates of each matrix, added
    up over all steps of the training, are less than 2 % of its size at the start. No weights get any farther, whichever
    way the updates point; what is random at the start stays so.
    ## Why it matters
    A training that would take hours takes weeks, or is given up as one that does not learn.
    ## How to fix
    Take the rate that was tried, or a third of it.
    ## Source
    Catalogue P02: no false alarm on 25 pilots at a good rate. Its second witness, the critical multiple of the update
    (Kalra et al. 2026), is not measured yet.
    ## Known false alarms
    Trainings that start with a long plateau and small steps on purpose, where the watch ends within it.
    """

    reach = Param(0.02, "of the size: Adam's usual 1e-3 takes matrices of width 64 so far in two steps, 1e-5 in 200")
    young = Param(50, "steps: a training that is shorter is a test of the code")
    progress = Param(5, "times the progress; at a good rate ten times the rate gave at most twice as much in pilots")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.maximizes:
            raise NotApplicable("the loss is maximized: that it grows is progress")
        if run.in_regime("gan", "reinforcement"):
            yield from self._standing_still(run)
            return
        if trains_in_parts(run):
            raise NotApplicable("a second training began while it was watched: their errors are no one scale")
        tried = [e for e in run.experiments if e.question == "P02"]
        known = [e for e in tried if e.before is not None]
        if not known:
            raise NotEnoughEvidence(tried[0].reason if tried else "no larger learning rate was tried")
        best = max((e for e in known if e.status == "confirmed"), key=lambda e: e.steps, default=None)
        if best is None or best.start is None or best.before is None or best.after is None:
            return
        if best.metric == "loss" and min(best.start, best.before, best.after, *best.afters) <= 0:
            raise NotApplicable(
                "a loss that goes below zero has no scale on which five times the progress means something"
            )
        optimizer = max((o for o in run.optimizers if o.steps), key=lambda o: o.steps, default=None)
        rate, location = written_rate(run, optimizer)
        factor = float(best.patch.removeprefix("lr:x"))
        planned = planned_steps(run)
        rises = rises_to_the_end(run)
        if rises:
            scheduled = next((s.location for s in run.schedulers if s.location is not None), None)
            location = scheduled or location
        share = max(_LEARNED, best.after / abs(best.start or 1.0))
        on_the_way = planned is not None and best.steps < planned
        arrives = on_the_way and (gets_there_by_its_plan(run, best) or _arrives(run, planned or 0, share))
        way = "falls" if best.before < best.start else "goes"
        yield Finding(
            f"In {best.steps} steps the {best.metric} {way} from {best.start:.3g} to "
            f"{best.before:.3g}; with {factor:g} times the learning rate it falls to {best.after:.3g}, "
            f"in each of {best.seeds} seeds."
            + (f" The rate is still rising after {run.info.steps} steps of a warm-up." if rises else "")
            + (
                f" The {planned} planned steps are enough to get there, or near, with this rate, too."
                if arrives
                else ""
            ),
            location=location,
            evidence={"lr": rate, "factor": factor, "before": best.before, "after": best.after, "start": best.start},
            severity="info" if run.in_regime("finetune") or arrives else None,
            fix=_SHORTER if rises else f"Try lr={rate * factor:.1g}." if rate else "",
            patch=best.patch,
        )

    def _standing_still(self, run: Run) -> Iterator[Finding]:
        """Nothing learns in all the steps that there will be."""
        silent = "the losses of this kind of training do not measure progress"
        if run.in_regime("finetune"):
            raise NotApplicable(f"{silent}, and its weights were loaded")
        steps = run.info.steps if run.info.ended == "finished" else planned_steps(run) or 0
        if steps < self.young.value:
            raise NotEnoughEvidence(f"{silent}, and how many steps are planned is not known")
        share, matrices = farthest(run, steps)
        if share >= self.reach.value:
            return
        optimizer = max((o for o in run.optimizers if o.steps), key=lambda o: o.steps)
        rate = highest_rate(run, optimizer)
        factor = 10.0 ** round(-math.log10(max(share, 1e-6)))
        yield Finding(
            f"The updates of all {steps} steps added up are at most {share:.2g} of the size of any of the {matrices} "
            f"weight matrices (limit {self.reach.value:g}): in the end they are the random ones of the start.",
            location=optimizer.lr_location or optimizer.location,
            evidence={"lr": rate, "share": share, "steps": steps, "matrices": matrices},
            fix=f"Try lr={rate * factor:.1g}." if rate else "",
            patch=f"lr:x{factor:g}",
        )


_LEARNED: Final = 0.2
"""Share of its first loss with which a training ends that has learned: that another rate is faster is advice."""
_SHORTER: Final = (
    "Warm up over a tenth of the steps, or fewer: a schedule of a longer training is not over in this one."
)


def _arrives(run: Run, planned: int, share: float) -> bool:
    """At the pace of its second half, the watched training gets its loss down to this share of the first one by its
    planned end; the pace is not drawn out beyond as many steps as were watched.
    """
    losses = run.series(LOSS).values if LOSS.name in run.frames else np.zeros(0)
    n = len(losses)
    if n < 32 or not losses[0] > 0:
        return False
    some = max(5, n // 16)
    middle, last = float(np.mean(losses[n // 2 - some : n // 2 + some])), float(np.mean(losses[-some:]))
    more = min(max(planned - n, 0), n)
    return last - (middle - last) / (n / 2) * more <= share * median(losses[:5])


def gets_there_by_its_plan(run: Run, faster: Experiment) -> bool:
    """So many steps are planned that the script's own rate will have gone as far as the larger one did in a trial."""
    planned, factor = planned_steps(run), float(faster.patch.removeprefix("lr:x"))
    return planned is not None and planned >= factor * faster.steps


def planned_steps(run: Run) -> int | None:
    """How many steps the script is going to make, as far as its loops tell; None if they do not."""
    plan = run.plan
    if plan.rounds is not None:
        return plan.rounds
    at = sorted({0, *(e.step for e in run.evaluations)})
    between = [b - a for a, b in itertools.pairwise(at)]
    per_epoch = plan.steps_per_epoch or (int(median(between)) if between else None)
    return plan.epochs * per_epoch if plan.epochs and per_epoch else None


def trains_in_parts(run: Run) -> bool:
    """An optimizer was built, and stepped, after another one had: pretraining and fine-tuning in one script."""
    stepped = [o for o in run.optimizers if o.steps]
    return len(stepped) > 1 and any(o.created_at_step > 0 for o in stepped)


def rises_to_the_end(run: Run) -> bool:
    """The learning rate was raised up to the last step that was watched, a good part of all that are planned."""
    try:
        rates = run.table(LEARNING_RATE, 32).values.max(axis=1)
    except NotEnoughEvidence:
        return False
    planned = run.info.steps if run.info.ended in ("finished", "exit") else planned_steps(run)
    if planned is None or planned > 4 * run.info.steps:
        return False
    quarter = len(rates) // 4
    return bool((np.diff(rates) >= 0).all() and rates[-1] > 1.2 * rates[-quarter] > 0)
