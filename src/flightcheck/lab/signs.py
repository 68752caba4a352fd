"""Is a loss that the script computes by itself descended? Tried where the script's own number can tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from flightcheck.checks.loss._own_signs import turns
from flightcheck.lab.experiments import Lab
from flightcheck.lab.metrics import steps_of_evaluations
from flightcheck.lab.printed import ANSWERED, RETURNED
from flightcheck.lab.statistics import Pair
from flightcheck.patch import Patch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.output import OutputPart, lines_of
from flightcheck.recording.printed import (
    contradicts_itself,
    direction,
    is_of_loss,
    is_return,
    numbers_in,
    rank_as_evaluation,
)
from flightcheck.recording.run import Run

_STEPS: Final = 120
_EPISODES: Final = 2000
_IMPROVED: Final = 0.1
"""Of the first number: by so much a training that goes the right way is better before long."""
_PART: Final = 0.5
_LEAST: Final = 0.2


def turned(lab: Lab, run: Run) -> Iterator[Experiment]:
    """L19: signs of the script's own arithmetic, where its own number of an evaluation gets no better as it is."""
    agent = run.in_regime("reinforcement")
    if not _gets_no_better(run, agent):
        return
    for turn in turns(run):
        tried = lab.try_patch(
            "L19",
            [Patch.parse(turn.patch)],
            metrics=(RETURNED,) if agent else (ANSWERED,),
            steps=_EPISODES if agent else max(_STEPS, steps_of_evaluations(run)),
            evaluates=not agent,
            margin=_clearly,
            refute=False,
        )
        code = turn.location.code if turn.location is not None else ""
        yield replace(tried, diff=f"- {code}\n+ # the same with the other sign" if code else "+ loss = -loss")
        if tried.status == "confirmed":
            return


def _clearly(pair: Pair) -> float:
    """Half of the number, or a fifth where it is small: errors are compared as logarithms, shares as they are.

    A training that climbs its loss ends at the worst answer, so what it is without that is far away.
    """
    before, _ = pair.blocks()
    return max(_LEAST, _PART * abs(float(before.mean())))


def _gets_no_better(run: Run, agent: bool) -> bool:
    """The script prints what it is about, and none of these numbers improved while it was watched."""
    values: dict[str, list[float]] = {}
    for line in lines_of(run.recorded(OutputPart)):
        for name, value in numbers_in(line.text):
            wanted = is_return(name) if agent else rank_as_evaluation(name, True) > 0 and not is_of_loss(name)
            if wanted and direction(name) and not contradicts_itself(name, value):
                values.setdefault(name, []).append(value)
    gains = [direction(name) * (v[-1] - v[0]) > _IMPROVED * abs(v[0]) for name, v in values.items()]
    return bool(gains) and not any(gains)
