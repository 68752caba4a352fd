"""Is the model that a script keeps as its best a better one, when it is kept as it should be?

Both trainings run to their end, since only what is evaluated there is the model that was kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flightcheck.checks.parameters.p02_lr_too_low import planned_steps
from flightcheck.lab.experiments import Lab
from flightcheck.lab.printed import PRINTED, Scale
from flightcheck.lab.statistics import MORE_SEEDS, SEEDS, Pair, compare
from flightcheck.lab.trials import Floats, Trained
from flightcheck.patch import Patch
from flightcheck.recording.experiments import NO_TIME, Experiment
from flightcheck.recording.printed import direction, is_of_unseen
from flightcheck.recording.run import Run

_LONGEST: Final = 4000
"""Steps of a training that is tried to its end."""
_TOO_FAR: Final = "the model that is kept shows at the end, which is too far"


def try_kept(lab: Lab, run: Run, question: str, patches: Sequence[Patch], meaning: str) -> Experiment:
    """Confirmed if a number of unseen examples that is printed once, after the last step, is better in each seed.

    Args:
        lab: runs the trainings.
        run: the watched run, which tells how long they are.
        question: code of the check that asks.
        patches: of the statement that keeps the model.
        meaning: ``higher`` or ``lower``, what is better by the metric that chooses the model; it counts for numbers
            whose own words do not tell. Empty if that is not known.
    """
    known = run.info.steps if run.info.ended == "finished" else 0
    steps = max(planned_steps(run) or 0, known)
    told = Experiment(question, " + ".join(map(str, patches)), steps=steps)
    if steps > _LONGEST:
        return replace(told, reason=_TOO_FAR)
    beside: list[tuple[Trained, Trained]] = []
    for seed in range(MORE_SEEDS):
        if beside and lab.seconds_left < max(t.seconds for both in beside for t in both):
            return replace(told, reason=NO_TIME)
        pair = lab.beside(patches, seed, (steps or _LONGEST) + 1, False)
        told = replace(told, seconds=told.seconds + sum(t.seconds for t in pair))
        if failure := next((t.failure for t in pair if t.failure), ""):
            return replace(told, status="inconclusive" if beside else "untested", reason=failure)
        if not steps and (whole := pair[0].run) is not None:  # how long it is shows where it ends by itself
            if whole.info.ended != "finished":
                return replace(told, reason=_TOO_FAR)
            steps = whole.info.steps
            told = replace(told, steps=steps)
        beside.append(pair)
        name = _last_number([t for both in beside for t in both], meaning)
        if not name:
            return replace(told, reason="no number of unseen examples was printed at the end alone")
        values = np.array([[_at_end(t)[name] for t in both] for both in beside])
        higher = _sign(name, meaning) > 0
        told, decided = compared(
            told, f"{PRINTED} {name}", values, Scale(higher, not higher and bool((values > 0).all()))
        )
        if decided:
            break
    return told


def compared(told: Experiment, metric: str, values: Floats, scale: Scale) -> tuple[Experiment, bool]:
    """What the seeds so far say of the ends of two trainings, and whether that is the last word.

    Args:
        told: the experiment so far.
        metric: what was measured at the end of each.
        values: without and with the patch, ``(seeds, 2)``.
        scale: on which they are compared.
    """
    pairs = [Pair(scale.to(row[:1]), scale.to(row[1:]), evaluations=True) for row in values]
    c = compare(pairs, scale.margin)
    status = (
        "inconclusive" if c.status == "refuted" else c.status
    )  # the best epoch need not be better on other examples
    told = replace(
        told,
        status=status,
        metric=metric,
        before=scale.back(c.before),
        after=scale.back(c.after),
        seeds=len(pairs),
        befores=[float(v) for v in values[:, 0]],
        afters=[float(v) for v in values[:, 1]],
        differences=c.differences,
        low=c.low,
        high=c.high,
        margin=c.margin,
        p=c.p,
        seeds_needed=c.seeds_needed,
    )
    return told, c.status != "inconclusive" or (len(pairs) >= SEEDS and not c.worth_more_seeds)


def _sign(name: str, meaning: str) -> int:
    return direction(name) or {"higher": 1, "lower": -1}.get(meaning, 0)


def _at_end(trained: Trained) -> dict[str, float]:
    """Numbers that were printed once, after the last step."""
    run = trained.run
    printed = run.printed if run is not None else []
    last = run.info.steps if run is not None else 0
    names = [n.name for n in printed]
    return {n.name: n.value for n in printed if n.step >= last and names.count(n.name) == 1}


def _last_number(trials: Sequence[Trained], meaning: str) -> str:
    """Of those that all trials printed and that tell by their words to be of unseen examples, the last one."""
    shared = [name for name in _at_end(trials[0]) if all(name in _at_end(t) for t in trials[1:])]
    return next((n for n in reversed(shared) if is_of_unseen(n) and _sign(n, meaning)), "")
