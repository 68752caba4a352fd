"""T06: two runs that are compared were given other data."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import ComparisonCheck, Finding, NotEnoughEvidence, check
from flightcheck.checks.tracking._data import differences, known_parts, why_unknown
from flightcheck.recording.sides import Sides


@check(
    "T06",
    "data-changed",
    severity="warn",
    evidence="X",
    needs=("DataDigest",),
    fix="Train both on the same data before their results are compared; give each state of the data a version.",
)
class DataChanged(ComparisonCheck):
    """Two runs that are compared were trained or evaluated on other examples.

    ## What it checks
    Every run records, for each part of its data, a hash of every example as the data set holds it, before any
    augmentation; their sum, which no order changes, and their number are compared. Of large data sets examples at fixed
    places are hashed. Where only the division into parts differs, and not the data set below, it is advice. It applies
    to `flightcheck compare`.
    ## Why it matters
    A difference in the metric then says nothing of the change that was meant to be judged.
    ## How to fix
    Pin the version of the data. For another division of the same data: seed what divides it.
    ## Source
    The article's fifth section: a network is sensitive to small changes of its data.
    ## Known false alarms
    A dataset that keeps something else than its examples in arrays of their number (weights that it updates, a cache):
    they count as part of the example. Files are known by their names, not by their contents.
    """

    def __call__(self, sides: Sides) -> Iterator[Finding]:
        first, second = sides.first[0], sides.second[0]
        shared = known_parts(first).keys() & known_parts(second).keys()
        if "training" not in shared:
            unknown = first if "training" not in known_parts(first) else second
            if not shared or not any(True for _ in differences(first, second)):
                raise NotEnoughEvidence(f"the training data of {unknown.info.id} are not known: {why_unknown(unknown)}")
        for d in differences(first, second):
            yield Finding(
                d.sentence[0].upper() + d.sentence[1:] + ".",
                evidence={"part": d.role, "changed": d.changed, "places": d.places[:20], "fields": d.fields},
                severity="info" if d.same_base else None,
            )
