"""The learning rate by which a training is called: not that of the first step of a warm-up."""

from __future__ import annotations

import numpy as np

from flightcheck.recording.hand_updates import HandUpdate
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import LEARNING_RATE


def highest_rate(run: Run, optimizer: OptimizerInfo) -> float | None:
    """The highest learning rate with which an optimizer was seen to step; else that of its first group, if any."""
    declared: float | None = next((g["lr"] for g in optimizer.groups if isinstance(g.get("lr"), (int, float))), None)
    try:
        seen = run.table(LEARNING_RATE, 1).values
    except NotEnoughEvidence:
        return declared
    rates = seen[:, optimizer.index] if optimizer.index < seen.shape[1] else np.zeros(0)
    highest = float(np.nanmax(rates, initial=0.0))
    if declared is not None and abs(highest - declared) <= 1e-5 * abs(declared):
        return declared  # rates are recorded in 32 bits
    return float(f"{highest:.6g}") if highest > 0 else declared


def written_rate(run: Run, optimizer: OptimizerInfo | None) -> tuple[float | None, Location | None]:
    """The learning rate and the line at which it is written: that of an optimizer, or of updates by hand."""
    if optimizer is not None:
        return highest_rate(run, optimizer), optimizer.lr_location or optimizer.location
    update = run.recorded(HandUpdate)[0] if run.recorded(HandUpdate) else None
    return (update.rate, update.rate_location or update.location) if update is not None else (None, None)
