"""Numbers that stand for missing values and reach the model as numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.checks.data._inputs import line_of
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.run import Run

KNOWN: Final = "inputs:known"
"""The patch that gives the model the mean of the others in their place."""


def stand_ins(run: Run) -> list[list[float]]:
    """Columns of the training inputs in which one number stands apart from all others, again and again."""
    data = next((d for d in run.recorded(DataDigest) if d.role == "training" and d.stand_ins), None)
    found = {f: columns for f, columns in data.stand_ins.items() if f != "targets"} if data is not None else {}
    return max(found.values(), key=len, default=[])


def numbers_apart(run: Run) -> Iterator[Finding]:
    """Told only where evaluations are better with the mean of the others in their place: it may be a value, too."""
    columns = stand_ins(run)
    if not columns or not any(
        e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("D01", KNOWN)
    ):
        return
    index, value, times, _, low, high = max(columns, key=lambda c: c[2])
    several = f"Columns {', '.join(str(int(c[0])) for c in columns[:6])}{', …' * (len(columns) > 6)} of the inputs have"
    who = several if len(columns) > 1 else f"Column {int(index)} of the inputs has"
    batch = next((b for b in run.batches if b.training and b.dtype.startswith(("float", "bfloat"))), None)
    yield Finding(
        f"{who} a number that stands apart: {value:.4g} occurs {int(times)} times in column {int(index)}, all others "
        f"lie between {low:.4g} and {high:.4g}. Is it a mark for what is missing (-200, 999)? It is learnt as a value.",
        location=line_of(batch) if batch is not None else None,
        evidence={"columns": [int(c[0]) for c in columns], "value": value, "times": int(times)},
        severity="warn",
        fix="If it is one, make it NaN where the table is read (x[x == mark] = nan), compute mean and deviation "
        "without it (nanmean), and fill with the mean, beside a column that says where.",
        patch=KNOWN,
    )
