"""Evaluations that visit their examples in another order than the stored one, in which their targets may be."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Finding
from flightcheck.recording.batches import Batch
from flightcheck.recording.experiments import Experiment
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

IN_STORED_ORDER = "visits:stored"
"""The patch under which evaluations visit the examples of shuffled loaders in their stored order."""
_DRAWN = re.compile(r"\b(?:randperm|permutation)\(")
_SORTED = re.compile(r"\bsorted\(|\.sort\(|\bargsort\(")
_UNSORTED = "source:unsorted:"


def of_other_examples(run: Run) -> Iterator[Finding]:
    """What trials showed: a number of the evaluations is another one in the stored order."""
    proofs = [e for e in run.experiments if (e.question, e.status) == ("T09", "confirmed")]
    drawn = next((e for e in proofs if e.patch == IN_STORED_ORDER), None)
    sorting = next((e for e in proofs if e.patch.startswith(_UNSORTED)), None)
    fix = "Take the targets in the same order, or the examples in the stored one."
    if drawn is not None:
        loaders = {i.index: i.location for i in run.loaders}
        message, evidence = _told("in random order", "shuffled", drawn)
        for shuffled in evaluated_at_random(run)[:1]:
            own = "shuffle=False in the loader of the evaluation; or take the targets from the loader, too."
            yield Finding(message, loaders.get(shuffled.loader), evidence=evidence, fix=own, patch=IN_STORED_ORDER)
            return
        for batch in evaluated_in_drawn_order(run)[:1]:
            yield Finding(message, _line_of_order(run, batch), evidence=evidence, fix=fix, patch=IN_STORED_ORDER)
    elif sorting is not None:
        message, evidence = _told("in the order that this line sorts them into", "sorted", sorting)
        line = next((at for at in evaluated_in_sorted_order(run) if unsorting(at) == sorting.patch), None)
        yield Finding(message, line, evidence=evidence, fix=fix, patch=sorting.patch)


def _told(how: str, name: str, proof: Experiment) -> tuple[str, dict[str, float]]:
    before, after = proof.before or 0.0, proof.after or 0.0
    number = proof.metric.partition(" ")[2] or "the share of wrong answers"
    message = (
        f"The evaluation visits its examples {how}, and {number} depends on it: {before:.4g}, but {after:.4g} in the "
        "stored order. Predictions meet the targets of other examples."
    )
    return message, {name: before, "stored": after}


def evaluated_at_random(run: Run) -> list[DatasetInfo]:
    """Data sets that were evaluated by whole passes in random order; first those that nothing is trained on."""
    found = [
        d for d in run.datasets if d.evaluated and d.passes and d.sampler in ("RandomSampler", "SubsetRandomSampler")
    ]
    return sorted(found, key=lambda d: d.trained)


def evaluated_in_drawn_order(run: Run) -> list[Batch]:
    """Evaluated batches whose examples a line of the script's own picks, in an order that it draws."""
    return [
        b for b in run.batches
        if not b.training and b.source < 0
        and any(_DRAWN.search(o.code) for o in (b.order_origin, *b.orders) if o is not None)
    ]  # fmt: skip


def _line_of_order(run: Run, batch: Batch) -> Location | None:
    """The line that draws the order; where batches of the training come from it, too, the one that calls the model."""
    drawn = next((o for o in (batch.order_origin, *batch.orders) if o is not None and _DRAWN.search(o.code)), None)
    trained = {o for b in run.batches if b.training for o in (b.order_origin, *b.orders)}
    return batch.location if drawn in trained else drawn


def evaluated_in_sorted_order(run: Run) -> list[Location]:
    """Lines that sort the examples of evaluations, and of nothing that is trained on."""
    trained = {o for b in run.batches if b.training for o in (b.order_origin, *b.orders)}
    evaluated = [o for b in run.batches if not b.training and b.source < 0 for o in (b.order_origin, *b.orders)]
    found = [o for o in evaluated if o is not None and o not in trained and _SORTED.search(o.code)]
    return list(dict.fromkeys(found))


def unsorting(at: Location) -> str:
    """The patch under which a line does not sort."""
    return f"{_UNSORTED}{PurePath(at.file).name}:{at.line}"
