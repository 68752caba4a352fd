"""How far a training can take its weights: the sizes of its updates added up."""

from __future__ import annotations

import numpy as np

from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import LEARNING_RATE, UPDATE_NORM, WEIGHT_NORM

_SAMPLES = 8
_GROWS = 1.5
"""Times its first value: a rate that rises so far is still warming up."""


def farthest(run: Run, steps: int) -> tuple[float, int]:
    """A bound on ‖W_end − W_start‖ / ‖W_start‖ of the matrix that can go farthest, and how many matrices there are.

    By the triangle inequality no weights go farther than the sum of their updates. Those between the steps that were
    measured are taken as lying between their neighbours.

    Args:
        run: whose updates were measured.
        steps: of the whole training.

    Raises:
        NotEnoughEvidence: fewer than eight measured updates, a learning rate that still rises, or no matrix that starts
            from random values.
    """
    rates = run.table(LEARNING_RATE).values
    if len(rates) and np.nanmax(rates) > _GROWS * np.nanmax(rates[:1]):
        raise NotEnoughEvidence("the learning rate rises")
    updates, weights = run.table(UPDATE_NORM), run.table(WEIGHT_NORM)
    shares = []
    for p in run.parameters:
        if p.role != "matrix" or not run.trained(p) or p.zero or p.loaded:
            continue
        moved, size = updates.column(p.index), weights.column(p.index).values
        if len(moved) < _SAMPLES or not len(size) or not np.isfinite(moved.values).all() or not size[0] > 0:
            raise NotEnoughEvidence(f"updates of {p.name} were measured in fewer than {_SAMPLES} steps")
        between = np.diff(moved.steps)
        mean = float(between @ (moved.values[1:] + moved.values[:-1])) / 2 / float(between.sum())
        shares.append(mean * steps / float(size[0]))
    if not shares:
        raise NotEnoughEvidence("no trained matrix starts from random values")
    return max(shares), len(shares)
