"""Parameters of a model that is judged, held by the optimizer of the model that judges it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from flightcheck.recording.opponents import Opponents
from flightcheck.recording.records import ParameterInfo
from flightcheck.recording.run import Run

_STEPS: Final = 3
"""Of each of the two optimizers: a habit of the loop."""
_ONE_WAY: Final = 0.99
"""Share of the outputs that are pushed one way, as in L19."""


def moved_against_itself(run: Run, parameters: Sequence[ParameterInfo]) -> Opponents | None:
    """The two models, where these parameters are all of the one that is judged, and two optimizers move them in turn:
    one together with the judge, by a loss that pushes its judgements one way, the other alone, by a loss that pushes
    them the other way.
    """
    roots = {m.root if (m := run.module(p.module)) is not None else -1 for p in parameters}
    for pair in run.recorded(Opponents):
        if roots == {pair.maker} and min(pair.joint_steps, pair.maker_steps) >= _STEPS:
            joint, alone = _up(pair.made_by_joint), _up(pair.made_by_maker)
            if min(joint, alone) <= 1 - _ONE_WAY and max(joint, alone) >= _ONE_WAY:
                return pair
    return None


def _up(pushes: Sequence[int]) -> float:
    """Share of the outputs whose gradient is positive; a half of none."""
    positive, negative = pushes
    return positive / (positive + negative) if positive + negative else 0.5
