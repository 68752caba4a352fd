"""Returns of an agent that stand in the reverse order of its actions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import Finding
from flightcheck.recording.reversed_sums import ReversedSum
from flightcheck.recording.run import Run


def returns_turned_round(run: Run) -> Iterator[Finding]:
    """Discounted sums of rewards, from the last one to the first, that nobody puts into the order of the actions.

    A warning until a trial has shown that the agent gets more with them turned round: what is done with the list is
    known by the source alone.
    """
    if not run.in_regime("reinforcement"):
        return
    for found in run.recorded(ReversedSum):
        at = found.location
        patch = f"source:first:{Path(at.file).name}:{at.line}" if at is not None else ""
        proved = any((e.question, e.patch, e.status) == ("D07", patch, "confirmed") for e in run.experiments)
        yield Finding(
            "The returns are summed up from the last reward to the first and appended in that order, and nothing turns "
            "them round: the first action is credited with what came after the last one.",
            location=at,
            severity=None if proved else "warn",
            fix="returns.reverse() after the loop, or returns.insert(0, value) in the place of append.",
            patch=patch,
        )
