"""Is the script's number another one, when its metric counts what it says? Decided without statistics."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flightcheck.checks.tracking._orders import IN_STORED_ORDER
from flightcheck.lab.experiments import STEPS, Lab
from flightcheck.lab.printed import PRINTED, printed_name, printed_series
from flightcheck.lab.trials import Floats, Trained, Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.metrics import MetricInfo
from flightcheck.recording.printed import direction, is_of_loss, rank_as_evaluation
from flightcheck.recording.run import Run

LONGEST: Final = 400
"""Steps of a trial, at most."""
_UNTIL_TOLD: Final = 4000
"""Steps to which a trial goes for a number that is printed late: of two trainings, once."""
_CLEARLY: Final = 0.1
"""Of the larger number: what the right order must gain. Pairs at random have the error of a guess."""
_ABOVE_CHANCE: Final = 3.0
"""Times what another order at random changes."""
_ROUNDING: Final = 1e-4
"""Of the number: sums in another order differ by less."""

SAME_TRAINING: Final = "the same training, step by step"


def try_metric(lab: Lab, question: str, patches: Sequence[Patch], steps: int) -> Experiment:
    """Confirmed if two trainings with equal losses print different numbers of their evaluations.

    Args:
        lab: runs both.
        question: code of the check that asks.
        patches: of a metric: they change nothing that is trained.
        steps: per trial; both go on until an evaluation was seen.
    """
    told = Experiment(question, " + ".join(map(str, patches)), steps=steps)
    one, other = (lab.run(Trial(p, 0, steps, True)) for p in ((), tuple(patches)))
    told = replace(told, seconds=one.seconds + other.seconds)
    if one.failure or other.failure:
        return replace(told, reason=one.failure or other.failure)
    first = printed_name([one, other], PRINTED)
    if not first:
        return replace(told, reason="no number of an evaluation was printed")
    others = _of_evaluations(one) if is_of_loss(first) else []  # a loss says nothing of how answers are counted
    name = next((n for n in (first, *others) if _differs(one, other, n)), first)
    before, after = _side_by_side([one, other], name)
    shared = len(before)
    told = replace(
        told,
        metric=f"{PRINTED} {name}",
        before=float(before[shared - 1]),
        after=float(after[shared - 1]),
        seeds=1,
        befores=[float(before[shared - 1])],
        afters=[float(after[shared - 1])],
    )
    if not np.array_equal(one.series("loss"), other.series("loss")):
        return replace(told, status="inconclusive", reason="the two trainings are not the same")
    if not _differs(one, other, name):
        return replace(told, status="inconclusive", reason="the number is the same")
    return replace(told, status="confirmed", reason=SAME_TRAINING)


def _of_evaluations(trained: Trained) -> list[str]:
    """The names of all numbers of evaluations that a training printed, in their order."""
    printed = trained.run.printed if trained.run is not None else []
    return list(dict.fromkeys(n.name for n in printed if rank_as_evaluation(n.name, n.evaluated)))


def _differs(one: Trained, other: Trained, name: str) -> bool:
    """Both printed the number, and not always the same one."""
    before, after = _side_by_side([one, other], name)
    return len(before) > 0 and not np.array_equal(before, after)


def try_order(lab: Lab, run: Run) -> Experiment:
    """Does a number of the evaluations depend on the order in which a shuffled loader gives the examples?

    Three trainings with equal losses: as it is; with evaluations in the stored order; and with the rows of each batch
    turned round. Confirmed if the number is clearly better in the stored order, and another one with the rows turned:
    a number of whole batches (pairs within a batch, means of batches) is not, whichever examples stand together. Where
    predictions come from one pass and targets from another, both are turned alike: in a fourth training only the first
    pass of each evaluation is.
    """
    stored = Patch.parse(IN_STORED_ORDER)
    steps = max(STEPS, steps_of_evaluations(run))
    told = Experiment("T09", IN_STORED_ORDER, steps=steps)
    trials: list[Trained] = []
    for patches in ((), (stored,), (Patch("visits", "turned"),), (Patch("visits", "turned-first"),)):
        trials.append(lab.run(Trial(patches, 0, steps, True)))
        told = replace(told, seconds=told.seconds + trials[-1].seconds)
        if trials[-1].failure:
            return replace(told, reason=trials[-1].failure)
        if not np.array_equal(trials[0].series("loss"), trials[-1].series("loss")):
            return replace(told, status="inconclusive", reason="the trainings are not the same")
        if len(trials) == 2 and not _gains(*trials):
            return replace(told, status="inconclusive", reason="no number is clearly better in the stored order")
        for name in _gains(*trials[:2]) if len(trials) > 2 else ():
            before, after, turned = _side_by_side([*trials[:2], trials[-1]], name)
            moved, least = np.abs(before - turned), _ROUNDING * np.abs(before).max()
            if moved.max() > least and _gain(before, after, name) > _ABOVE_CHANCE * moved.mean():
                return _confirmed(told, name, float(before[-1]), float(after[-1]))
    return replace(told, status="inconclusive", reason="the numbers do not depend on the order within a batch")


def _confirmed(told: Experiment, name: str, before: float, after: float) -> Experiment:
    return replace(
        told,
        status="confirmed",
        reason=SAME_TRAINING,
        metric=f"{PRINTED} {name}",
        before=before,
        after=after,
        seeds=1,
        befores=[before],
        afters=[after],
    )


def _gains(one: Trained, other: Trained) -> list[str]:
    """Numbers of evaluations that are clearly better in the other training, the largest gain first."""
    printed = one.run.printed if one.run is not None else []
    names = {n.name for n in printed} - {n.name for n in printed if not rank_as_evaluation(n.name, n.evaluated)}
    found: dict[str, float] = {}
    for name in names:
        before, after = _side_by_side([one, other], name)
        size = max(np.abs(before).mean(), np.abs(after).mean()) if len(before) else 0.0
        if size and (gain := _gain(before, after, name)) > _CLEARLY * size:
            found[name] = gain / size
    return sorted(found, key=lambda name: (-found[name], name))


def _gain(before: Floats, after: Floats, name: str) -> float:
    """By how much the number is better, in its own unit and on average over the evaluations."""
    return direction(name) * float((after - before).mean())


def _side_by_side(trials: Sequence[Trained], name: str) -> list[Floats]:
    """The number in each training, as often as all of them printed it."""
    series = [printed_series(t, name) for t in trials]
    shared = min(map(len, series))
    return [s[:shared] for s in series]


def numbers_of_evaluations(run: Run) -> list[MetricInfo]:
    """What a watched training printed of its evaluations: of one that goes on, so far."""
    printed = (m for m in run.recorded(MetricInfo) if m.source == "printed")
    return [m for m in printed if rank_as_evaluation(m.name.replace("_", " "), bool(run.evaluations))]


def steps_until_told(run: Run) -> int:
    """Steps until such a number was printed; 0 where none was."""
    first = min((m.first_step for m in numbers_of_evaluations(run)), default=None)
    return 0 if first is None else min(first + 2, _UNTIL_TOLD)


def steps_of_evaluations(run: Run) -> int:
    """Steps that hold four evaluations, as far as the watched run tells; at most `LONGEST`."""
    at = [e.step for e in run.evaluations]
    later = [b - a for a, b in itertools.pairwise(at) if b > a]
    between = later[0] if later else (at[0] if at else STEPS)
    return min(LONGEST, (at[0] if at else 0) + 3 * max(between, 1) + 2)
