"""D25: many tokens of the texts are the number that stands for unknown words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import main_inputs
from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch
from flightcheck.recording.data_files import made_in
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

_BATCHES = 5
"""Fewer may be unlike the rest."""
_SHARE = 0.25
"""Of the tokens: five times what vocabularies of texts usually leave out."""
_DISTINCT = 4
"""Numbers: with fewer, the texts are no words."""


@frozen
class CutVocabulary:
    """A line that keeps the most frequent words, and the number that many tokens of the texts have."""

    location: Location
    token: int
    share: float

    @property
    def patch(self) -> str:
        """The trial with the whole vocabulary."""
        return f"source:uncut:{PurePath(self.location.file).name}:{self.location.line}"


def cut_vocabulary(run: Run) -> CutVocabulary | None:
    """A vocabulary that is cut, where one number stands at many places between the ends of the texts."""
    if not any(b.training for b in run.batches):
        return None
    for batches in main_inputs(run).values():
        ids = _texts(batches)
        if len(ids) < _BATCHES or len({b.commonest for b in ids}) != 1:
            continue
        share = median([b.common_share for b in ids])
        cut, token = next((f.cut for f in made_in(run, ids[:1])), None), ids[0].commonest
        if share > _SHARE and cut is not None and token is not None:
            return CutVocabulary(cut, token, share)
    return None


def negations_left_out(run: Run) -> Location | None:
    """The line that lists words to be left out of the texts, negations among them."""
    files = made_in(run, (b for b in run.batches if b.training))
    return next((f.negations for f in files if f.negations is not None), None)


def keeping_negations(line: Location) -> str:
    """The patch that takes the negations from the words that are left out."""
    return f"source:negations:{PurePath(line.file).name}:{line.line}"


def _texts(batches: list[Batch]) -> list[Batch]:
    return [
        b for b in batches
        if b.first_module == "embedding" and b.commonest is not None and (b.distinct or 0) >= _DISTINCT
    ]  # fmt: skip


@check(
    "D25",
    "vocabulary-cut-short",
    severity="error",
    evidence="T",
    needs=("batches",),
    fix="Keep more words: a vocabulary that covers most of the text, or pieces of words, of which none is unknown.",
)
class VocabularyCutShort(Check):
    """A vocabulary is cut so far that what the texts are about has no number of its own.

    ## What it checks
    Whole-number inputs of an embedding: one number stands at more than a quarter of the places between the ends of the
    rows (padding lies at the ends), in at least 5 batches; a line of the file keeps the most frequent words only
    (`most_common(30)`, `if count >= 50`); and words without a number are given one (`vocabulary.get(word, 0)`). Told as
    an error only if a trial with the whole vocabulary achieves five times as much; as information otherwise. And a list
    of words to be left out that has negations in it (`no`, `not`, `never`): told only if a trial that keeps them takes
    away a third of the error of the evaluations.
    ## Why it matters
    The most frequent words are those that stand in any text. What tells texts apart was thrown away before the model
    sees it, and no training gets it back. Without its negation "not good" is "good".
    ## How to fix
    Count how many tokens are known: 95 % is usual, with tens of thousands of words. Or use pieces of words or letters.
    ## Source
    Sennrich et al. 2016, Neural machine translation of rare words with subword units. SageMaker Debugger
    NLPSequenceRatio.
    ## Known false alarms
    Spotting of a few keywords, where all else is nothing on purpose: it trains as it is, and stays information.
    """

    share = Param(_SHARE, "five times what vocabularies of texts usually leave out")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if negations := list(self._negations(run)):
            yield from negations
            return
        several = main_inputs(run).values()
        if not any(b.first_module == "embedding" for batches in several for b in batches):
            raise NotApplicable("no token ids are fed to an embedding")
        if all(len(_texts(batches)) < _BATCHES for batches in several):
            raise NotEnoughEvidence(f"fewer than {_BATCHES} batches of texts")
        cut = cut_vocabulary(run)
        if cut is None:
            return
        tried = [e for e in run.experiments if (e.question, e.patch) == ("D25", cut.patch)]
        proof = next((e for e in tried if e.status == "confirmed"), None)
        told = (
            f"Token {cut.token} stands at {cut.share:.0%} of the places of the texts: the words there have no number, "
        )
        told += "since this line keeps the most frequent ones only."
        if proof is not None and proof.before is not None and proof.after is not None:
            told += f" With all of them the {proof.metric} after {proof.steps} steps is {proof.after:.3g} and not "
            told += f"{proof.before:.3g}."
        yield Finding(
            told,
            location=cut.location,
            evidence={"token": cut.token, "share": cut.share},
            severity=None if proof else "info",
            patch=cut.patch,
        )

    @staticmethod
    def _negations(run: Run) -> Iterator[Finding]:
        line = negations_left_out(run)
        patch = keeping_negations(line) if line is not None else ""
        for e in run.experiments:
            if (e.question, e.patch, e.status) == ("D25", patch, "confirmed"):
                yield Finding(
                    "Negations (no, not, never) are among the words that are left out of the texts, so 'not good' is "
                    "'good'. With them more of the answers are right.",
                    location=line,
                    evidence={"negations": True},
                    patch=patch,
                    fix="Take the negations from the list of words that are left out, or leave none out.",
                )
