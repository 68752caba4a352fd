"""How a training went, in single numbers."""

from __future__ import annotations

import math
from typing import Final

from flightcheck.recording.run import Run
from flightcheck.recording.signals import ERROR, LOSS, Signal

FINAL_SHARE: Final = 0.1
"""The last part of a training over which its final loss is averaged."""


def first_and_final(run: Run, signal: Signal = LOSS) -> tuple[float | None, float | None]:
    """The first value of a curve, and the mean over its last tenth."""
    if signal.name not in run.frames:
        return None, None
    values = run.series(signal).values
    last = values[-max(1, round(FINAL_SHARE * len(values))) :]
    return (_finite(float(values[0])), _finite(float(last.mean()))) if len(values) else (None, None)


def evaluation_losses(run: Run) -> list[tuple[int, float]]:
    """Step and loss of the evaluations that computed one, of the model that was evaluated most often."""
    by_root: dict[int, list[tuple[int, float]]] = {}
    for e in run.evaluations:
        if e.loss_value is not None and math.isfinite(e.loss_value):
            by_root.setdefault(e.root, []).append((e.step, e.loss_value))
    return max(by_root.values(), key=len, default=[])


def final_loss(run: Run) -> tuple[str, float] | None:
    """How good a run became: the name and the value of the number that tells it best."""
    evaluated = evaluation_losses(run)
    if evaluated:
        return "loss of the last evaluation", evaluated[-1][1]
    for name, signal in (("final error", ERROR), ("final training loss", LOSS)):
        if (value := first_and_final(run, signal)[1]) is not None:
            return name, value
    return None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
