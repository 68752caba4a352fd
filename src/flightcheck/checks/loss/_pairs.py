"""Losses that draw some pairs of examples together and push others apart, and what they are without any difference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

TRIPLETS: Final = "triplet_margin_loss"
_MARGINS: Final = {TRIPLETS: 1.0, "cosine_embedding_loss": 0.0, "hinge_embedding_loss": 1.0}
"""Losses of distances, and the margin that each has if nothing else is said."""
RANKING: Final = "margin_ranking_loss"
_DISTANCES: Final = ("Sqrt", "LinalgVectorNorm", "Norm", "Cdist", "EuclideanDist", "PairwiseDistance")
"""Operations that give distances."""
ROLES: Final = "loss:roles"
"""The patch under which pairs that were drawn together are pushed apart, and the other way round."""
_SETTLED: Final = 60
"""Steps after which a training that can tell pairs apart at all does better than a constant."""
_LATE: Final = 5
_STUCK: Final = 0.85
"""Of the loss of a constant answer: less says that the training has begun to tell the pairs apart."""
_MINED: Final = 0.25
"""Evaluations a step: more, and the pairs may be chosen by what the model says of them."""


@frozen
class StuckPairs:
    """A loss of pairs that is no smaller than if all distances were equal."""

    site: LossSite
    value: float
    """Median over the last calls."""
    constant: float
    """The smallest loss that one distance for all pairs has."""
    step: int


def stuck_pairs(run: Run) -> list[StuckPairs]:
    """Losses of pairs of the watched run that tell nothing apart, where the model does not choose the pairs itself.

    Whoever chooses the hardest pairs of a batch by their distances sees such a loss for long.
    """
    if run.in_regime("gan", "reinforcement") or run.info.evaluations > _MINED * max(run.info.steps, 1):
        return []
    found = []
    for site in run.loss_sites:
        chosen = site.function == TRIPLETS and not site.settings.get("as_given")
        if site.function not in _MARGINS or chosen or site.settings.get("reduction", "mean") != "mean":
            continue
        calls = [c for c in run.training_calls(site.function) if c.site == site.index and c.value is not None]
        late = [c for c in calls if c.step >= _SETTLED][-_LATE:]
        if len(late) < _LATE or any(c.target_integral and c.target_distinct == 1 for c in late):
            continue
        value, constant = median([c.value for c in late if c.value is not None]), _constant(site, late)
        if constant > 0 and np.isfinite(value) and value >= _STUCK * constant:
            found.append(StuckPairs(site, value, constant, late[-1].step))
    return found


def ranked_distances(run: Run) -> LossSite | None:
    """A ranking loss that asks for the larger one of two distances, always the first: whoever gives it the distance of
    what belongs together first pushes that apart. A trial tells, since the other order is as usual.
    """
    for site in run.loss_sites if not run.in_regime("gan", "reinforcement") else ():
        calls = [c for c in run.training_calls(RANKING) if c.site == site.index] if site.function == RANKING else []
        first = all(c.target_min == c.target_max == 1 for c in calls)
        if len(calls) >= _LATE and first and all(c.input_op.startswith(_DISTANCES) and c.input_min >= 0 for c in calls):
            return site
    return None


def _constant(site: LossSite, calls: Sequence[LossCall]) -> float:
    """The smallest loss of one distance for all pairs."""
    margin = float(site.settings.get("margin", _MARGINS[site.function]))
    if site.function == TRIPLETS:
        return margin
    near = float(np.mean([(1 + c.target_mean) / 2 for c in calls]))
    scale = 1 - margin if site.function == "cosine_embedding_loss" else margin
    return min(near, 1 - near) * scale
