"""D19: the target stands among the inputs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.batches import Batch
from flightcheck.recording.inputs import FeatureTable
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.windows import WindowTable

SILENT = ("gan", "reinforcement", "second-order", "contrastive", "self-supervised")


@check(
    "D19",
    "target-in-input",
    severity="error",
    evidence="T",
    needs=("FeatureTable",),
    fix="Drop the column from the inputs, in training and in every other split.",
)
class TargetInInput(Check):
    """A single input column is the target in another coding.

    ## What it checks
    Tables of numbers and the targets of the same steps: is a column of the input the target up to scale and offset,
    within rounding? For classes: does the column have one constant value per class, a different one for each? At
    least 50 different rows are needed, and the column must not be the only kind there is. Where the rows are windows
    of one series (the numbers of a row, from some column on, begin another one), the target is a number of the window
    itself and not one that comes after it: then the line of the target is told, and a trial takes the one after it.
    ## Why it matters
    The model copies that column. The result is perfect in every split, and worthless where the target is not known.
    ## How to fix
    Drop it: `X = frame.drop(columns=["target"])`; look for columns that are computed from the target. Of a series:
    `x = series[i : i + n]` and `y = series[i + n]`.
    ## Source
    Kapoor and Narayanan 2023, Leakage and the reproducibility crisis in machine-learning-based science.
    ## Known false alarms
    Exercises whose target *is* one of the inputs. Features that merely separate the classes well are not flagged.
    """

    rows = Param(50, "truth tables and one-hot toys have fewer different rows")
    targets = Param(50, "fewer targets can agree with a column by chance")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*SILENT):
            raise NotApplicable("the target of this kind of training is not given by the data")
        tables = [t for t in run.recorded(FeatureTable) if t.features >= 2]
        if not tables:
            raise NotApplicable("no table of at least two columns is fed to a model")
        usable = [t for t in tables if t.targets >= self.targets.value and t.distinct_rows >= self.rows.value]
        if not usable:
            raise NotEnoughEvidence(f"fewer than {self.rows.value:.0f} rows with one target each")
        for table in usable:
            if not 0 < len(table.copies) <= table.features / 2:
                continue
            window = next(
                (w for w in run.recorded(WindowTable) if (w.root, w.argument) == (table.root, table.argument)), None
            )
            if window is not None and not table.target_classes:
                yield self._of_the_window(run, table, window)
                continue
            columns = ", ".join(str(i) for i in table.copies[:4])
            what = (
                f"tells the {table.target_classes} classes apart" if table.target_classes else "is the target, scaled"
            )
            yield Finding(
                f"Input column {columns} (of {table.features}) {what} without error in {table.targets} examples: the "
                "target, or a code of it, is among the inputs.",
                location=self._place(run, table),
                evidence={"columns": table.copies, "targets": table.targets, "rows": table.distinct_rows},
            )

    @staticmethod
    def _of_the_window(run: Run, table: FeatureTable, window: WindowTable) -> Finding:
        site = next((s for s in run.loss_sites if s.index == table.site), None)
        at = (site.target_origin or site.location) if site is not None else None
        column = table.copies[-1]
        last = window.last_place if column == table.features - 1 else None
        at = last or at
        where = "last" if column == table.features - 1 else f"{column + 1}th"
        return Finding(
            f"The rows are windows of a series, and the target is the {where} of the {table.features} numbers of its "
            f"own window, in {table.targets} examples without error: the model only has to copy it.",
            location=at,
            evidence={"columns": table.copies, "targets": table.targets, "rows": table.distinct_rows},
            fix="Take the number after the window as the target: x = series[i : i + n], y = series[i + n]; or let the "
            "window end before it.",
            patch=f"source:later:{PurePath(last.file).name}:{last.line}" if last is not None else "",
        )

    def _place(self, run: Run, table: FeatureTable) -> Location | None:
        batch: Batch | None = next((b for b in run.batches if b.training and b.root == table.root), None)
        return (batch.origin or batch.location) if batch else None
