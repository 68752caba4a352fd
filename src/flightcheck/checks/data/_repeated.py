"""Inputs that repeat as a whole beside labels that repeat one by one, or the other way round."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.provenance.repeated_data import repeating_line
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

TURNED: Final = "shuffle:repeated"
"""The patch under which both repeat in one way."""


def repeats_in_two_ways(run: Run) -> DataDigest | None:
    """The training data whose fields contradict each other in their order, if any."""
    return next((d for d in run.recorded(DataDigest) if d.role == "training" and d.turned), None)


def repeated_apart(run: Run) -> Iterator[Finding]:
    """Told only where evaluations are better with both in one order.

    A table of all pairs repeats in two ways, too, and so do the conditions of each of several subjects.
    """
    data = repeats_in_two_ways(run)
    if data is None or not any(
        e.status == "confirmed" for e in run.experiments if (e.question, e.patch) == ("D07", TURNED)
    ):
        return
    turned = data.turned
    ways = "each {groups} rows again as a whole", "each of {groups} rows again before the next"
    exact, near = (way.format(**turned) for way in (ways if turned["tiled"] else ways[::-1]))
    yield Finding(
        f"Of {data.examples} examples one field has {exact} ({turned['copies']} times), and the rows of another are "
        f"close to each other where it has {near}: their distance is {turned['ratio']:.0%} of that of rows which the "
        "first field puts together. The two repeat in different orders, so inputs are trained with labels of others.",
        location=repeating(run, data),
        evidence={key: turned[key] for key in ("groups", "copies", "ratio")},
        fix="Repeat both in one way: repeat_interleave(n) gives each row n times, repeat(n) the whole n times (NumPy: "
        "repeat and tile); or make inputs and labels in one loop.",
        patch=TURNED,
    )


def repeating(run: Run, data: DataDigest) -> Location | None:
    """The line that repeats rows, else that of the loader or the batches."""
    source = next((d for d in run.datasets if d.source == data.source), None)
    loader = next((at.location for at in run.loaders if source is not None and at.index == source.loader), None)
    used = loader or run.plan.batch_location
    line = repeating_line(used.file, used.line) if used is not None else 0
    if used is None or not line:
        return used
    return Location(used.file, line, "", linecache.getline(used.file, line).strip())
