"""Labels of the farthest examples, in the place of the nearest."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from flightcheck.checks.base import Finding
from flightcheck.recording.neighbours import FarthestLabels
from flightcheck.recording.run import Run


def labels_of_the_farthest(run: Run) -> Iterator[Finding]:
    """Lines of evaluations that pick labels by the places of the largest distances.

    A warning until a trial has shown that the printed number hangs on this line: somebody may want to see them.
    """
    for found in run.recorded(FarthestLabels):
        at = found.location
        patch = f"metric:nearest:{Path(at.file).name}:{at.line}" if at is not None else ""
        proved = any((e.question, e.patch, e.status) == ("T09", patch, "confirmed") for e in run.experiments)
        used = f" (line {found.used_location.line})" if found.used_location not in (None, at) else ""
        yield Finding(
            f"{found.operation} gives the places of the largest distances here, and labels are picked by them{used}: "
            "those of the farthest examples, not of the nearest.",
            location=at,
            evidence={"operation": found.operation, "calls": found.calls},
            onset_step=found.step,
            severity=None if proved else "warn",
            fix="topk(k, largest=False), or argmin, of distances.",
            patch=patch,
        )
