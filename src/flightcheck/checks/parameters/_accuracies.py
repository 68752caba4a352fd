"""Numbers that a scheduler is given, beside what the evaluations counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from flightcheck.recording.records import Call
from flightcheck.recording.run import Run
from flightcheck.recording.tallies import Tally

_SCALES: Final = (1.0, 100.0)
"""A share, and percent."""
_SAME: Final = 2e-6
"""Relative: means in single precision, some of them of batches."""
_EVALUATIONS: Final = 2


def is_share_of_right_answers(run: Run, calls: Sequence[Call]) -> bool:
    """The number is, in two or more evaluations with different results, the share of what a line found equal (``==``).

    Only evaluations count whose comparisons were seen; in all of these it must be so.
    """
    told: dict[int, list[float]] = {}
    for tally in run.recorded(Tally):
        if tally.equal and sum(tally.counted) > 1:
            shares = [t / n for t, n in zip(tally.true, tally.counted, strict=True)]
            told.setdefault(tally.step, []).extend([sum(tally.true) / sum(tally.counted), sum(shares) / len(shares)])
    seen = [(float(c.data["metric"]), told[c.step]) for c in calls if c.step in told]
    agree = [any(math.isclose(s * share, m, rel_tol=_SAME) for share in of for s in _SCALES) for m, of in seen]
    between = {m for m, _ in seen if m not in (0.0, *_SCALES)}  # nothing and all are shares of many things
    return all(agree) and len(between) >= _EVALUATIONS
