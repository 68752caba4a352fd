"""C43: of all rows of an embedding, one or two are ever read."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.embedding_rows import EmbeddingRows
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run


@check(
    "C43",
    "embedding-rows-unread",
    severity="error",
    evidence="X",
    needs=("EmbeddingRows",),
    fix="Look up whole numbers that tell the items apart, from 0 to one less than the number of rows.",
)
class EmbeddingRowsUnread(Check):
    """An embedding with many rows is asked for the same one or two again and again.

    ## What it checks
    The numbers that trained embeddings were asked for with gradients in the first steps: one and the same (of 8 rows or
    more), or no more than 2 (of 16 or more), among 200 or more in 5 calls or more.
    ## Why it matters
    What is looked up is the same vector for all examples and positions: the model does not know which word, user,
    item or place it is about. Nothing crashes, as the numbers are in range.
    ## How to fix
    Do not scale the columns of ids together with the numeric ones (0 … 1 becomes 0 as a whole number). Look positions
    up by `torch.arange(length)`. Look words up in the vocabulary that they were counted for, in the same spelling:
    otherwise all of them are the unknown word.
    ## Source
    TheDeepChecker (Ben Braiek and Khomh 2022), inputs that do not vary; the documentation of `nn.Embedding`.
    ## Known false alarms
    Examples sorted by the item that is looked up, so that the first batches hold two of them only. An embedding that
    is made for many tasks, languages or speakers, of which the training has one.
    """

    read = Param(2, "the unknown word and the padding, or 0 and the largest of what was scaled to 0 … 1")
    rows = Param(16, "embeddings of segments, stages and the like have fewer, of which a task may need two")
    numbers = Param(200, "that many draws among 16 equally frequent items show more than two with certainty")
    calls = Param(5, "one batch may be unlike the others")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(EmbeddingRows)
        if not found:
            raise NotApplicable("no embedding with 8 rows or more was trained")
        seen = [e for e in found if e.numbers >= self.numbers.value and e.calls >= self.calls.value]
        if not seen:
            raise NotEnoughEvidence(f"fewer than {self.numbers.value:.0f} numbers were looked up in any embedding")
        several: dict[str, list[EmbeddingRows]] = {}
        for e in seen:
            if self._unread(e) and not run.in_regime("finetune"):
                several.setdefault(str(_made(run, e)), []).append(e)
        for tables in several.values():
            names = [p.name for e in tables for p in run.parameters if p.index == e.parameter]
            more = f", and so it is with {', '.join(names[1:])}" if names[1:] else ""
            e = tables[0]
            which = " and ".join(map(str, e.read))
            yield Finding(
                f"Of the {e.rows} rows of {names[0]} only {which} {'was' if len(e.read) == 1 else 'were'} read, in "
                f"{e.numbers} look-ups of {e.calls} calls{more}: what is looked up tells nothing apart.",
                location=_made(run, e),
                evidence={"rows": e.rows, "read": e.read, "numbers": e.numbers, "calls": e.calls},
                onset_step=e.step,
                parameters=tuple(e.parameter for e in tables),
            )

    def _unread(self, e: EmbeddingRows) -> bool:
        return len(e.read) <= (self.read.value if e.rows >= self.rows.value else 1)


def _made(run: Run, rows: EmbeddingRows) -> Location | None:
    """The line that computed the numbers: fractions that the model is given become whole numbers within it."""
    at, made = rows.location, rows.origin
    if made is not None and (at is None or (made.file, made.line) != (at.file, at.line)):
        return made
    owner = next((run.module(p.module) for p in run.parameters if p.index == rows.parameter), None)
    batches = [b for b in run.batches if b.training and owner is not None and b.root == owner.root]
    given = batches[0] if batches and batches[0].dtype.startswith(("float", "bfloat")) else None
    return (given.origin if given is not None else None) or at
