"""Numbers of one pass that hold those of all passes before it."""

from __future__ import annotations

from collections.abc import Iterator, Set
from pathlib import Path

from flightcheck.checks.base import Finding
from flightcheck.recording.run import Run
from flightcheck.recording.uncleared_sums import UnclearedSum


def sums_of_all_passes(run: Run, told: Set[tuple[str, int]]) -> Iterator[Finding]:
    """Sums that are divided, or averaged, as those of one pass, and are never set back to 0.

    A warning until a trial has shown that a printed number hangs on it: the lines are known by the source alone.

    Args:
        run: the watched run.
        told: files and lines whose sums something else is said of.
    """
    for found in run.recorded(UnclearedSum):
        at, loop, added = found.location, found.loop_location, found.added_location
        if at is None or loop is None or added is None or (added.file, added.line) in told:
            continue
        patch = f"source:cleared@{found.name}:{Path(loop.file).name}:{loop.line}"
        proved = any((e.question, e.patch, e.status) == ("T09", patch, "confirmed") for e in run.experiments)
        used = "averaged" if found.averaged else "divided"
        yield Finding(
            f"`{found.name}` becomes 0 here, before the loop (line {loop.line}), and is {used} in each round as the "
            f"sum of that round: it holds all rounds before, too (line {added.line} only adds).",
            location=at,
            evidence={"name": found.name, "loop": loop.line},
            severity=None if proved else "warn",
            fix=f"Make `{found.name}` 0 at the start of each round of the loop at line {loop.line}.",
            patch=patch,
        )
