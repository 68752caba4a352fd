"""What conversions cut off: digits beyond those of float32, and fractions that were written into whole numbers."""

from __future__ import annotations

from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch
from flightcheck.recording.cancellations import Cancellation
from flightcheck.recording.coarse_angles import CoarseAngles
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

_ODD: Final = (0.2, 0.8)
"""Share of odd multiples of the spacing: half after rounding, none where the numbers were coarser from the start."""
_DISTINCT: Final = 8
"""Fewer values per batch may be codes."""
_NATURAL: Final = (0.125, 0.25, 0.5, 1.0)
"""Spacings on which numbers may lie by nature: whole ones, and quarters of a day."""
_DIFFERENCES: Final = 64
"""Fewer differences may be coarse by chance."""
_NEARLY_ALL: Final = 0.9
_SCALED: Final = 15
"""Different values that standardized numbers have at most when their fractions are cut off: -7 to 7."""
_ZEROS: Final = 0.4
"""Share of zeros: of a normal distribution, 68 % lie less than one standard deviation away; of a flat one, 58 %."""
_BLANK: Final = 0.5
"""Share of examples that are zero in every feature; codes of categories have a 1 in every one."""


@frozen
class Rounded:
    """An argument of a model with a feature that float32 cannot hold."""

    batches: list[Batch]
    feature: int
    spacing: float
    spread: float
    distinct: int

    @property
    def natural(self) -> bool:
        """The numbers may have been so coarse before."""
        return self.spacing in _NATURAL


def rounded_inputs(run: Run, fewest: int) -> list[Rounded]:
    """Arguments whose batches all have the same feature on neighbouring float32 numbers, odd and even ones alike."""
    seen: dict[tuple[int, str], list[Batch]] = {}
    for b in run.batches:
        if b.training:
            seen.setdefault((b.root, b.argument), []).append(b)
    found = []
    for batches in seen.values():
        marks = [b.coarse for b in batches if b.coarse]
        if len(marks) < max(fewest, len(batches)) or len({m["feature"] for m in marks}) > 1:
            continue
        odd, spacing, spread, distinct = (median([m[k] for m in marks]) for k in _MARKS)
        if _ODD[0] < odd < _ODD[1] and distinct >= _DISTINCT:
            found.append(Rounded(batches, int(marks[0]["feature"]), spacing, spread, int(distinct)))
    return found


def cancelled(run: Run) -> list[Cancellation]:
    """Lines whose differences are hardly larger than what was rounded away of the numbers."""
    return [
        c for c in run.recorded(Cancellation)
        if c.elements >= _DIFFERENCES and c.coarse >= _NEARLY_ALL * c.elements and _ODD[0] < c.odd < _ODD[1]
        and c.spacing not in _NATURAL
    ]  # fmt: skip


def coarse_angles(run: Run) -> list[CoarseAngles]:
    """Lines that take the sine of numbers without digits for an angle, the one with most of them first."""
    found = [a for a in run.recorded(CoarseAngles) if a.coarse >= _ANGLES * a.elements]
    return sorted(found, key=lambda a: -a.coarse)


_ANGLES: Final = 0.05
"""Of the frequencies of a rotary embedding (1 to 1/10000), 8 % have angles so large at 512 positions."""
_MARKS: Final = ("odd", "spacing", "spread", "distinct")


def cut_in_buffer(batches: list[Batch]) -> bool:
    """What was divided is nothing but whole numbers around 0 after it was written into an array of another's type."""
    if not all(b.buffer for b in batches):
        return False
    low, high = min(b.minimum for b in batches), max(b.maximum for b in batches)
    distinct = max(b.distinct if b.distinct is not None else 4097 for b in batches)
    if not all(_is_whole(b) for b in batches) or low == high:
        return False
    if low >= -1 and high <= 1:
        return all(_blank(b) > _BLANK for b in batches)
    return low < 0 < high and 4 <= distinct <= _SCALED and min(b.zeros for b in batches) > _ZEROS


def _is_whole(b: Batch) -> bool:
    """All values whose size is recorded are whole numbers, and so is their sum, to rounding."""
    total = b.mean * float(np.prod(b.shape))
    near = abs(total - round(total)) < 1e-6 * max(b.std, 1e-9) * float(np.prod(b.shape)) + 1e-3
    return near and all(float(v).is_integer() for v in (b.minimum, b.maximum, *b.quantiles))


def _blank(b: Batch) -> float:
    """Share of examples of one value only."""
    return float(np.mean([r == 0 for r in b.rows])) if b.rows else 0.0
