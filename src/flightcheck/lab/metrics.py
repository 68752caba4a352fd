"""Is the script's number another one, when its metric counts what it says? Decided without statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import numpy as np

from flightcheck.lab.experiments import Lab
from flightcheck.lab.printed import PRINTED, printed_name, printed_series
from flightcheck.lab.trials import Trial
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment

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
    name = printed_name([one, other], PRINTED)
    if not name:
        return replace(told, reason="no number of an evaluation was printed")
    before, after = printed_series(one, name), printed_series(other, name)
    shared = min(len(before), len(after))
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
    if np.array_equal(before[:shared], after[:shared]):
        return replace(told, status="inconclusive", reason="the number is the same")
    return replace(told, status="confirmed", reason=SAME_TRAINING)
