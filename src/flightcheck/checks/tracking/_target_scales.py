"""On which scales the targets of a regression are trained."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run

_REGRESSIONS: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")
_WITHIN: Final = 3.0
"""Standard deviations, or times the spread: outputs of a model that learns these targets, well or badly."""


@frozen
class TargetScale:
    """Mean and standard deviation of the targets of one loss, over the observed steps."""

    mean: float
    std: float

    def holds(self, mean: float, std: float) -> bool:
        """Values like these may be outputs of a model that learns such targets."""
        return abs(mean - self.mean) <= _WITHIN * self.std and std <= _WITHIN * self.std

    def is_far(self, mean: float, std: float, times: float) -> bool:
        """Values like these are no targets of this kind."""
        if std <= 0 or abs(math.log(std / self.std)) > math.log(times):
            return std > 0
        return abs(mean - self.mean) > times * max(std, self.std)


def target_scales(run: Run) -> Iterator[TargetScale]:
    """One for each regression loss of the training."""
    by_site: dict[int, list[tuple[float, float]]] = {}
    for call in run.training_calls(*_REGRESSIONS):
        by_site.setdefault(call.site, []).append((call.target_mean, call.target_std))
    for values in by_site.values():
        means, stds = np.array(values, dtype=float).T
        std = math.sqrt(float((stds**2).mean()) + float(means.var()))
        if std > 0 and math.isfinite(std):
            yield TargetScale(float(means.mean()), std)
