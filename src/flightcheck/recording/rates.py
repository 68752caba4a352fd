"""The learning rate by which a training is called: not that of the first step of a warm-up."""

from __future__ import annotations

import numpy as np

from flightcheck.recording.records import OptimizerInfo
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
