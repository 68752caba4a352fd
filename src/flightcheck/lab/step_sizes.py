"""Are steps of another size better: a smaller rate, steps that nothing holds back, more of them, a larger rate?"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.checks.parameters.p02_lr_too_low import (
    gets_there_by_its_plan,
    planned_steps,
    rises_to_the_end,
    trains_in_parts,
)
from flightcheck.checks.parameters.p14_adam_epsilon_dominates import dominated
from flightcheck.checks.parameters.p17_gradient_clipping_misuse import clips_hard
from flightcheck.lab.experiments import Lab, Margin
from flightcheck.lab.longer import more_rounds
from flightcheck.lab.margins import fivefold, tenth, twofold
from flightcheck.lab.statistics import Pair
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import LEARNING_RATE, LOSS

SHORT_STEPS: Final = 80
LONG_STEPS: Final = 300
_ARRIVED: Final = 0.2
"""Of the error at the start: who has so little left is not too slow."""
_MOST_PLANNED: Final = 3000
"""Steps of a trial that goes to the planned end."""


def steps_of_another_size(lab: Lab, run: Run, asked: set[str]) -> Iterator[Experiment]:
    """A smaller learning rate; steps that no limit, epsilon or rounding holds back; a larger learning rate."""
    if "P01" not in asked:
        for steps in (SHORT_STEPS, LONG_STEPS):
            slower = lab.try_patch("P01", [Patch("lr", "x0.1")], steps=steps, margin=tenth, refute=False)
            yield slower
            if slower.status == "confirmed":
                return
            if not _promises(slower):
                break
    warm_up = _warm_up(run)
    if run.in_regime("finetune") or trains_in_parts(run) or (warm_up is None and not rises_to_the_end(run)):
        return
    held_back = {
        # Whoever is free to learn is soon done: five times as much may be more than there is to gain.
        "P17": (Patch("clip", "off"), clips_hard(run), ((SHORT_STEPS, _further(run)), (LONG_STEPS, fivefold))),
        "P14": (Patch("epsilon", "1e-8"), bool(dominated(run)), ((LONG_STEPS, fivefold),)),
        "P20": (
            Patch("precision", "master"),
            any(not u.master for u in run.stored_updates),
            ((LONG_STEPS, twofold),),
        ),
    }
    for code, (patch, possible, lengths) in held_back.items():
        for steps, margin in lengths if possible and code not in asked else ():
            freed = lab.try_patch(code, [patch], steps=steps, margin=margin, refute=False)
            yield freed
            if freed.status == "confirmed":
                return
    for more in more_rounds(lab, run) if "P36" not in asked else ():
        yield more
        if more.status == "confirmed":
            return
    yield from _faster(lab, run, SHORT_STEPS if warm_up == 0 else LONG_STEPS)


def _faster(lab: Lab, run: Run, first: int) -> Iterator[Experiment]:
    """P02: ten times the learning rate, a hundred times; and for longer, if one is better and not yet by enough."""
    promising = None
    for factor in ("x10", "x100"):
        margin = _further(run) if factor == "x10" else _far_further(run)
        faster = lab.try_patch("P02", [Patch("lr", factor)], steps=first, margin=margin, refute=False)
        yield faster
        if faster.status == "confirmed":
            planned = planned_steps(run) or 0
            if gets_there_by_its_plan(run, faster) and planned <= _MOST_PLANNED:  # how far is the larger one by then?
                yield lab.try_patch("P02", [Patch("lr", factor)], steps=planned, margin=_at_the_end, refute=False)
            return
        if faster.low is None or faster.differences[0] < 0:
            break
        if faster.low > 0:
            promising = factor
    if promising and first < LONG_STEPS:
        yield lab.try_patch("P02", [Patch("lr", promising)], steps=LONG_STEPS, margin=_further(run), refute=False)


def _promises(e: Experiment) -> bool:
    """Better by more than the margin on average, and not in every seed: what a rate does to a plateau takes longer."""
    return bool(e.differences) and e.low is not None and e.low > 0 and float(np.mean(e.differences)) > e.margin


def _further(run: Run) -> Margin:
    """P02: five times as much, and more than the watched run achieved in all its steps: who arrives is not too slow."""
    reached = _reached(run)

    def margin(pair: Pair) -> float:
        before, _ = pair.blocks()
        return max(fivefold(pair), float(before.mean()) - (1 - reached) * abs(pair.start()))

    return margin


def _far_further(run: Run) -> Margin:
    """P02, of a hundredfold rate: as `_further`, or so much that a fifth of the error is left: that is no caution any
    more, which keeps the rate below what is best by a factor of ten perhaps.
    """
    further = _further(run)

    def margin(pair: Pair) -> float:
        before, _ = pair.blocks()
        left = 0.8 * float(before.mean())
        least = float(before.mean()) - (1 - _reached(run)) * abs(pair.start())
        return further(pair) if left <= 0 else min(further(pair), max(left, least))

    return margin


def _at_the_end(pair: Pair) -> float:
    """P02, at the planned end: half of the error goes, where more than a fifth of that of the start is left."""
    before = float(pair.blocks()[0].mean())
    return before / 2 if before > _ARRIVED * abs(pair.start()) else math.inf


def _reached(run: Run) -> float:
    """The part of its first loss by which the watched run's loss had fallen at the end of the watch, at least 0."""
    try:
        losses = run.series(LOSS, SHORT_STEPS // 2).values
    except NotEnoughEvidence:
        return 0.0
    first, last = float(np.median(losses[:5])), float(losses[-max(5, len(losses) // 16) :].mean())
    return max((first - last) / abs(first), 0.0) if math.isfinite(last) and first else 0.0


def _warm_up(run: Run) -> int | None:
    """Rounds in which the schedule raises the learning rate far beyond that of the first steps; None if it still does,
    or did through more than a third of what was watched or of a trial: a larger rate would always win then.
    """
    try:
        rates = run.table(LEARNING_RATE, 2).values
    except NotEnoughEvidence:
        return None
    early = rates[:SHORT_STEPS].max(initial=0.0)
    if not (rates.max(initial=0.0) > 1.5 * early or rates[:5].max(initial=0.0) < 0.5 * early):
        return 0
    highest = rates.max(axis=1)
    peak = int((highest >= 0.99 * highest.max()).argmax())
    return peak if 3 * peak <= min(len(highest), LONG_STEPS) else None
