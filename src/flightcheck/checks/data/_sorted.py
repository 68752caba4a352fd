"""Inputs that are sorted by the lengths of their sequences beside targets that are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.collated_rows import CollatedRows
from flightcheck.recording.run import Run
from flightcheck.recording.sorted_rows import SortedRows

_CALLS: Final = 3
"""Of the loss, in which the order was another one than before."""


def sorted_alone(run: Run) -> Iterator[Finding]:
    """Losses of predictions whose inputs were sorted, in all calls, and targets that were left in their old order."""
    yield from _by_collate_functions(run)
    for found in run.recorded(SortedRows):
        if not found.apart == found.calls >= _CALLS:
            continue
        site = next(s for s in run.loss_sites if s.index == found.site)
        at = found.sort_location
        yield Finding(
            f"The rows of the input are sorted by length here, and {site.function} compares what the model makes of "
            f"them with targets in the old order ({found.apart} of {found.calls} calls, {found.rows} rows each): no "
            "line puts the targets into that order, or the outputs back.",
            location=found.location,
            evidence={"calls": found.calls, "rows": found.rows},
            fix="Use the same order for the targets: y = y[order]; or pack with enforce_sorted=False, without sorting.",
            patch=f"targets:sorted={Path(at.file).name}:{at.line}" if at is not None else "",
        )


def _by_collate_functions(run: Run) -> Iterator[Finding]:
    """Their examples were found again in the batches: the sequences in another order than the targets."""
    for found in run.recorded(CollatedRows):
        if not found.apart == found.calls >= _CALLS:
            continue
        site = next(s for s in run.loss_sites if s.index == found.site)
        named = f"{found.function} sorts" if found.function not in ("", "<lambda>") else "The collate function sorts"
        yield Finding(
            f"{named} the sequences of a batch by length, and leaves the target of {site.function} in the order in "
            f"which the examples came ({found.apart} of {found.calls} calls, {found.rows} examples in the last): each "
            "row is held against the target of another example.",
            location=found.location,
            evidence={"calls": found.calls, "rows": found.rows},
            fix="Sort the examples before they are taken apart: batch.sort(key=lambda e: len(e[0]), reverse=True).",
            patch="shuffle:collated",
        )
