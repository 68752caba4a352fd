"""D20: token batches that are mostly padding, or begin twice."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import line_of, main_inputs
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median


@check(
    "D20",
    "text-pipeline-ratios",
    severity="warn",
    evidence="H",
    needs=("batches",),
    fix="Pad to the longest text of a batch, group texts of like length, and add special tokens only once.",
    preview=True,
)
class TextPipelineRatios(Check):
    """Batches of token ids are mostly padding, or every text begins with the same token twice.

    ## What it checks
    Whole-number inputs of an embedding: the share that belongs to runs of one value at the ends of rows, median over
    at least 5 batches, above a half; and a first token that every row has, twice in a row.
    ## Why it matters
    Padding is computed for nothing, and where a mask is missing it drowns the text. A doubled start token is one that
    the pretrained model has never seen.
    ## How to fix
    Pad per batch, sort or bucket by length; `add_special_tokens=False` where the template already adds them.
    ## Source
    SageMaker Debugger NLPSequenceRatio (50 %).
    ## Known false alarms
    Categories in columns, games and grids of cells: they are ids too.
    """

    batches = Param(5, "single batches hold one long text")
    padding = Param(0.5, "as SageMaker: more padding than text")

    def __call__(self, run: Run) -> Iterator[Finding]:
        judged = embedded = 0
        for batches in main_inputs(run).values():
            ids = [b for b in batches if b.first_module == "embedding" and b.dtype in ("int64", "int32")]
            embedded += bool(ids)
            if len(ids) < self.batches.value:
                continue
            judged += 1
            padding = median([b.padding or 0.0 for b in ids])
            if padding > self.padding.value:
                yield Finding(
                    f"{padding:.0%} of the tokens in a training batch are padding (limit {self.padding.value:.0%}).",
                    location=line_of(ids[0]),
                    evidence={"padding": padding},
                )
            if all(b.leading is not None and b.leading == ids[0].leading for b in ids):
                yield Finding(
                    f"Every text begins with token {ids[0].leading} twice: a start token is added two times.",
                    location=line_of(ids[0]),
                    evidence={"token": ids[0].leading},
                )
        if not judged:
            if not embedded:
                raise NotApplicable("no token ids are fed to an embedding")
            raise NotEnoughEvidence(f"fewer than {self.batches.value:.0f} batches of token ids")
