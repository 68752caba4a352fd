"""Intervals for shares."""

from __future__ import annotations

import math


def wilson(hits: int, of: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's 95 % interval of a share."""
    if of == 0:
        return 0.0, 1.0
    share, square = hits / of, z * z
    centre = (share + square / (2 * of)) / (1 + square / of)
    half = z / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
    return max(0.0, centre - half), min(1.0, centre + half)


def share(hits: int, of: int) -> str:
    """`7 of 8 = 88 % (53–98 %)`."""
    if of == 0:
        return "none"
    low, high = wilson(hits, of)
    return f"{hits} of {of} = {100 * hits / of:.0f} % ({100 * low:.0f}–{100 * high:.0f} %)"
