"""Where the curves of two runs part."""

from __future__ import annotations

from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS

_BLOCKS: Final = 20
_SCATTER: Final = 3.0
"""Standard errors of the mean of a block from which on two curves are told apart."""


@frozen
class Parting:
    """The losses of two runs, step by step."""

    first: str
    second: str
    steps: int = 0
    """Steps at which both losses were recorded."""
    equal: int = 0
    """Of these, how many at the start are the same bit for bit."""
    differs_at: int | None = None
    """The first step that is not."""
    apart_from: int | None = None
    """The step from which on the curves lie apart by more than they scatter, up to the end."""

    def in_words(self) -> str:
        """One sentence."""
        pair = f"{self.first} and {self.second}"
        if not self.steps:
            return f"{pair} have no recorded step in common."
        if self.differs_at is None:
            return f"{pair}: the same loss, bit for bit, in all {self.steps} recorded steps."
        told = f"{pair}: other losses from step {self.differs_at} on"
        if self.equal:
            told = f"{pair}: the same loss, bit for bit, up to step {self.differs_at - 1}"
        if self.apart_from is not None:
            return f"{told}; apart by more than they scatter from step {self.apart_from} to the end."
        return f"{told}; at the end not apart by more than they scatter."


def parting(first: str, second: str, one: Run, other: Run) -> Parting:
    """Where the training losses of two runs part."""
    if LOSS.name not in one.frames or LOSS.name not in other.frames:
        return Parting(first, second)
    a, b = one.series(LOSS), other.series(LOSS)
    steps, at, also = np.intersect1d(a.steps, b.steps, return_indices=True)
    if not len(steps):
        return Parting(first, second)
    x, y = a.values[at], b.values[also]
    different = np.flatnonzero(~((x == y) | (np.isnan(x) & np.isnan(y))))
    if not len(different):
        return Parting(first, second, len(steps), len(steps))
    start = int(different[0])
    return Parting(first, second, len(steps), start, int(steps[start]), _apart(steps, y - x))


def _apart(steps: np.ndarray, difference: np.ndarray) -> int | None:
    """From where on the blocks' means of a difference keep one sign and lie above their own scatter."""
    if len(steps) < 2 or not np.isfinite(difference[-1]):
        finite = np.isfinite(difference)
        return int(steps[np.flatnonzero(finite)[-1] + 1]) if finite.any() and not finite[-1] else None
    blocks = np.array_split(np.arange(len(steps)), min(_BLOCKS, max(1, len(steps) // 4)))
    found, sign = None, 0.0
    for block in blocks[::-1]:
        part = difference[block]
        mean = float(part.mean())
        error = float(part.std(ddof=1)) / np.sqrt(len(part)) if len(part) > 1 else 0.0
        clear = np.isfinite(mean) and abs(mean) > _SCATTER * error and mean != 0
        if not clear or (sign and np.sign(mean) != sign):
            break
        found, sign = int(steps[block[0]]), float(np.sign(mean))
    return found
