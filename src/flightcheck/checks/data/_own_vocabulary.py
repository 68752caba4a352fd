"""Texts of an evaluation whose ids come from a vocabulary of their own."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import Final

from flightcheck.checks.base import Finding
from flightcheck.recording.batches import IdRanks, IdsByAppearance, begin_alike
from flightcheck.recording.digests import DataDigest
from flightcheck.recording.provenance.vocabulary_lines import vocabulary_line
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_FIX: Final = (
    "Build the vocabulary from the training texts once, and map the evaluation's words with it; words that it lacks "
    "become the unknown token."
)


def of_own_vocabularies(run: Run) -> Iterator[Finding]:
    """Evaluations whose ids mean other words than those of the training."""
    yield from map(_of_ranks, own_vocabularies(run))
    yield from map(_of_appearance, numbered_by_appearance(run))


def own_vocabularies(run: Run) -> list[IdRanks]:
    """Evaluations with ids that are their own ranks, where those of the training texts are theirs.

    One vocabulary ranks the words of the texts that it was counted on, and of no others: the counts of other texts
    differ by chance. So two different data sets that are both in order have two vocabularies.
    """
    ranks = run.recorded(IdRanks)
    held = {d for data in _training(run) for d in data.by_rank.values()}
    found = []
    for evaluated in (r for r in ranks if not r.training):
        # The training texts that are evaluated have the counts of the training.
        trained = held | {r.digest for r in ranks if r.training and r.root == evaluated.root}
        if trained and evaluated.digest not in trained:
            found.append(evaluated)
    return found


def _training(run: Run) -> list[DataDigest]:
    return [d for d in run.data_digests if d.role == "training"]


def numbered_by_appearance(run: Run) -> list[IdsByAppearance]:
    """Evaluations whose ids are numbered in the order of their own texts, as those of the training are in theirs.

    A vocabulary that counted up at each new word of the training's texts has no new words left for the next texts, or
    few; only those that it began with stand in its order. So two sets that begin with other texts, and are both in
    order, have two vocabularies.
    """
    rows = {row for d in _training(run) for row in d.by_appearance.values()}
    return [e for e in run.recorded(IdsByAppearance) if rows and not any(begin_alike(e.row, row) for row in rows)]


def _of_ranks(evaluated: IdRanks) -> Finding:
    return Finding(
        "The ids of the training are ranks (each is at least as frequent as the next), and so are those of the "
        f"evaluation on other texts ({evaluated.distinct} from {evaluated.first} on): each has a vocabulary of its "
        "own, and one id means two words.",
        location=_numbered_at(evaluated.location),
        evidence={"distinct": evaluated.distinct, "tokens": evaluated.tokens},
        onset_step=evaluated.step,
        severity="warn",
        fix=_FIX,
    )


def _of_appearance(evaluated: IdsByAppearance) -> Finding:
    return Finding(
        "The ids of the training are numbered in the order in which they first appear in its own rows, and so are "
        f"those of the evaluation in its other rows ({evaluated.distinct} from {evaluated.first} on): each has a "
        "vocabulary of its own, and one id means two words.",
        location=_numbered_at(evaluated.location),
        evidence={"distinct": evaluated.distinct, "first": evaluated.first},
        onset_step=evaluated.step,
        severity="warn",
        fix=_FIX,
    )


def _numbered_at(used: Location | None) -> Location | None:
    """The line that made the vocabulary of what a line uses; that line itself where none is found."""
    found = vocabulary_line(used.file, used.line) if used is not None else None
    return Location(*found, "", linecache.getline(*found).strip()) if found is not None else used
