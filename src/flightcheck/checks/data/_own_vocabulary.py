"""Texts of an evaluation whose ids come from a vocabulary of their own."""

from __future__ import annotations

from flightcheck.recording.batches import IdRanks
from flightcheck.recording.run import Run


def own_vocabularies(run: Run) -> list[tuple[IdRanks, IdRanks]]:
    """Pairs of a pass over the training texts and an evaluation on others, both with ids that are their own ranks.

    One vocabulary ranks the words of the texts that it was counted on, and of no others: the counts of other texts
    differ by chance. So two different data sets that are both in order have two vocabularies.
    """
    trained = {r.root: r for r in run.id_ranks if r.training}
    pairs = [(trained[r.root], r) for r in run.id_ranks if not r.training and r.root in trained]
    # The training texts that are evaluated have the counts of the training.
    return [(one, other) for one, other in pairs if one.digest != other.digest]
