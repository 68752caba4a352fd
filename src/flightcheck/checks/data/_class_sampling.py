"""Weights of samplers that make rare classes rarer, and weights that lie at the places of other classes."""

from __future__ import annotations

from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.recording.samplers import SamplerInfo

_EXAMPLES: Final = 100
"""Of fewer a class may be rare by chance."""
_POWERS: Final = (0.5, 1.0)
"""Of the counts, which weights follow: roots and the counts themselves; 0 is none, -1 the balance."""
_CLOSE: Final = 0.02
"""Of a logarithm: how far weights may lie from an exact law. Costs that somebody chose do not keep it."""


@frozen
class Missampled:
    """A weighted sampler that draws classes by weights which are not theirs, or by their counts once more."""

    sampler: SamplerInfo
    follows: bool
    """The weights follow the counts; else they are the inverse of the counts of other classes."""
    most: float
    """Of the batches' examples, how many times those of the most drawn class are those of the least drawn one."""


def missampled(run: Run, ratio: float) -> list[Missampled]:
    """Samplers of training sets whose classes are more than `ratio` times apart in size and drawn further apart still,
    or not balanced by weights that would balance classes of just these sizes.
    """
    trained = {d.source for d in run.datasets if d.trained}
    found = []
    told: set[tuple[object, ...]] = set()
    for s in run.samplers:
        if (same := (s.location, tuple(s.class_counts or ()))) in told:
            continue  # a loader over a list, anew in each epoch
        told.add(same)
        counts = np.array(s.class_counts or [], float)
        if s.source not in trained or counts.sum() < _EXAMPLES or counts.max() <= ratio * counts.min():
            continue
        if s.class_weights is None:
            if s.misplaced:
                found.append(Missampled(s, follows=False, most=0.0))
            continue
        weights = np.array(s.class_weights, float)
        if not (weights > 0).all() or weights.max() <= ratio**0.5 * weights.min():
            continue
        w, n, drawn = np.log(weights), np.log(counts), weights * counts
        most = float(drawn.max() / drawn.min())
        if any(float(np.ptp(w - power * n)) < _CLOSE for power in _POWERS):
            found.append(Missampled(s, follows=True, most=most))
        elif most > ratio and float(np.ptp(np.sort(w) + np.sort(n)[::-1])) < _CLOSE:
            found.append(Missampled(s, follows=False, most=most))
    return found
