"""D02: inputs without information: constant or repeated columns, or one and the same example."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._inputs import line_of, main_inputs
from flightcheck.recording.batches import Batch
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.run import Run

SILENT = ("gan", "reinforcement", "second-order")


@check(
    "D02",
    "constant-or-duplicate-feature",
    severity="warn",
    evidence="T",
    needs=("batches", "FeatureTable"),
    fix="Look at a few raw examples where they are read; drop columns that never change or that repeat others.",
)
class ConstantOrDuplicateFeature(Check):
    """Most examples are one and the same, or columns of the input are constant or copies of others.

    ## What it checks
    Warning: in nearly every one of at least 8 training batches more than half of the examples are identical although
    their targets differ; or all examples of all batches are one and the same, of three values or more. Information: in
    a table of at least 500 rows, columns that are constant (and not 0) or equal to another column.
    ## Why it matters
    Identical inputs with different targets cannot be told apart: a decoder, an index or a join is broken. Constant
    and repeated columns add nothing, and often point at a mistake in reading the data.
    ## How to fix
    Print the first examples as the model gets them, and follow them back to where they are read.
    ## Source
    Ben Braiek and Khomh 2023, TheDeepChecker: constant features.
    ## Known false alarms
    Columns of zeros (borders of images, rare categories) are not told. A sample by chance without a rare value.
    """

    batches = Param(8, "a single odd batch is no decoder")
    examples = Param(8, "in tiny batches two of four are equal by chance")
    same = Param(0.5, "more than half of a batch: no data set has so frequent an example")
    values = Param(8, "inputs of fewer values (a time, a state, a coin) do repeat")
    rows = Param(500, "a value of 1 % frequency is missing from 500 rows in 1 of 150 cases")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*SILENT):
            raise NotApplicable("inputs of this kind of training are not a data set")
        found, judged = main_inputs(run), 0
        varied = {(c.step, c.target_shape[0]) for c in run.training_calls() if c.target_std > 0 and c.target_shape}
        for batches in found.values():
            usable = [b for b in batches if self._comparable(b) and (b.step, b.shape[0]) in varied]
            usable = usable or self._all_one(batches, varied)
            if len(usable) < self.batches.value:
                continue
            judged += 1
            shares = [_alike(b) / len(b.rows) for b in usable]
            if float(np.mean([s > self.same.value for s in shares])) >= 0.9:
                yield Finding(
                    f"In {len(usable)} training batches on average {np.mean(shares):.0%} of the examples are "
                    "identical, while their targets differ.",
                    location=line_of(usable[0]),
                    evidence={"share": float(np.mean(shares)), "batches": len(usable)},
                    onset_step=usable[0].step,
                )
        for table in run.recorded(FeatureTable):
            if table.distinct_rows >= self.rows.value:
                judged += 1
                yield from self._columns(table, found.get(table.root, []))
        if not judged:
            raise NotEnoughEvidence(f"fewer than {self.batches.value:.0f} batches of examples with different targets")

    def _all_one(self, batches: list[Batch], varied: set[tuple[int, int]]) -> list[Batch]:
        """The batches, where every example in them is one and the same: of that, few values are no excuse."""
        alike = {r for b in batches for r in b.rows}
        if len(alike) != 1 or 0 in alike:
            return []
        known = [b for b in batches if len(b.rows) >= self.examples.value and (b.step, b.shape[0]) in varied]
        return [b for b in known if b.dtype.startswith(("float", "bfloat")) and int(np.prod(b.shape[1:])) > 2]

    def _comparable(self, batch: Batch) -> bool:
        return len(batch.rows) >= self.examples.value and int(np.prod(batch.shape[1:])) >= self.values.value

    def _columns(self, table: FeatureTable, batches: list[Batch]) -> Iterator[Finding]:
        repeated = [g for g in table.duplicates if len(g) > 1]
        if not table.constant and not repeated:
            return
        words = []
        if table.constant:
            words.append(f"{len(table.constant)} never change ({', '.join(map(str, table.constant[:5]))})")
        if repeated:
            words.append(
                f"{sum(len(g) - 1 for g in repeated)} repeat another one ({repeated[0][0]} = {repeated[0][1]})"
            )
        yield Finding(
            f"Of {table.features} input columns {' and '.join(words)} in {table.rows} rows.",
            location=line_of(batches[0]) if batches else None,
            evidence={"constant": table.constant[:20], "duplicates": repeated[:10]},
            severity="info",
        )


def _alike(batch: Batch) -> int:
    """How many examples are one and the same."""
    counts = Counter(r for r in batch.rows if r)
    return max(batch.alike_blanks, *counts.values(), 0)
