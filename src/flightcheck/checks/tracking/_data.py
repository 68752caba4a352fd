"""In what the data of two runs differ, as far as their digests tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.run import Run

_MOST_PLACES = 5
_MOST_COUNTS = 4


@frozen
class DataDifference:
    """One part of the data that is not the same in two runs."""

    role: str
    sentence: str
    """What differs, without a full stop."""
    changed: int | None = None
    """How many examples."""
    places: list[int] = field(default_factory=list)
    """Of examples of the second run that the first one does not have."""
    fields: list[str] = field(default_factory=list)
    same_base: bool = False
    """Both parts are picked from the same data set."""


def known_parts(run: Run) -> dict[str, list[DataDigest]]:
    """The parts of the data of a run that have a digest, by role."""
    found: dict[str, list[DataDigest]] = {}
    for d in run.data_digests:
        if d.role and d.digest:
            found.setdefault(d.role, []).append(d)
    return found


def why_unknown(run: Run) -> str:
    """Why a run has no digest of its training data."""
    reasons = [d.unknown for d in run.data_digests if d.unknown and d.role != "evaluation"]
    if reasons:
        return reasons[0]
    return "its batches come neither from a dataset nor from a tensor that was seen twice"


def differences(first: Run, second: Run) -> Iterator[DataDifference]:
    """The parts that both runs have and that differ, training data first."""
    one, other = known_parts(first), known_parts(second)
    for role in sorted(one.keys() & other.keys(), reverse=True):
        here, there = {d.digest for d in one[role]}, {d.digest for d in other[role]}
        before = [d for d in one[role] if d.digest not in there]
        after = [d for d in other[role] if d.digest not in here]
        for a, b in zip(before, after):
            yield _difference(role, a, b)
        if len(before) != len(after) and not (before and after):
            yield DataDifference(role, f"the {role} data have {len(here)} and {len(there)} parts")


def _difference(role: str, a: DataDigest, b: DataDigest) -> DataDifference:
    whole = a.hashed == a.examples and b.hashed == b.examples
    rows, others = a.row_hashes(), b.row_hashes()
    changed, places = None, []
    if whole and len(rows) == a.examples and len(others) == b.examples:
        new = ~np.isin(others, rows)
        changed = max(int(new.sum()), int((~np.isin(rows, others)).sum()))
        places = np.flatnonzero(new).tolist() if changed < b.hashed else []
    same_base = bool(a.base) and a.base == b.base
    kept = set(a.by_field.values())
    fields = [n for n, digest in b.by_field.items() if digest not in kept]
    told = f"the {role} data differ"
    if same_base:
        told = f"the {role} data are another part of the same data set"
    if a.examples != b.examples:
        told += f": {a.examples} and {b.examples} examples"
    elif changed:
        told += f" in {changed} of {b.examples} examples"
        if 0 < len(places) <= _MOST_PLACES and not same_base:
            told += f" (number {', '.join(map(str, places))}, counted from 0)"
    if a.by_field and not same_base:
        if not fields:
            told += "; which values belong together" if a.examples == b.examples else ""
        elif len(fields) < len(b.by_field):
            same = [n for n in b.by_field if n not in fields]
            told += f"; {_listed(fields)} and not {_listed(same)}"
    told += _counts(a, b)
    return DataDifference(role, told, changed, places, fields, same_base)


def _listed(names: list[str]) -> str:
    return ", ".join(f"field {n}" if n.isdigit() else n for n in names)


def _counts(a: DataDigest, b: DataDigest) -> str:
    """The labels whose number differs."""
    told = []
    for name, after in b.labels.items():
        before = a.labels.get(name, {})
        moved = [c for c in sorted(before.keys() | after.keys(), key=int) if before.get(c, 0) != after.get(c, 0)]
        if moved and before:
            pairs = [f"{c}: {before.get(c, 0)} → {after.get(c, 0)}" for c in moved[:_MOST_COUNTS]]
            rest = len(moved) - _MOST_COUNTS
            told.append("; label " + ", ".join(pairs) + (f" and {rest} more" if rest > 0 else ""))
    return "".join(told[:1])
