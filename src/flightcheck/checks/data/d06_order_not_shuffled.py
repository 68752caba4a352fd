"""D06: the examples come sorted by label."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.inputs import Confusion
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.records import LoaderInfo, Location
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

Counts = npt.NDArray[np.float64]
SILENT = ("gan", "reinforcement", "contrastive", "self-supervised", "diffusion")


@check(
    "D06",
    "order-not-shuffled",
    severity="error",
    evidence="T",
    needs=("loss_calls",),
    fix="Shuffle the training data: DataLoader(..., shuffle=True), or a fresh permutation in every epoch.",
)
class OrderNotShuffled(Check):
    """The training examples come sorted by label.

    ## What it checks
    The class counts of each training batch against those of all batches together: a chi-square statistic far beyond
    chance (Wilson-Hilferty z above 8, 3 times its expectation, Cramér's V above 0.4) *and* neighbouring batches that
    resemble each other (lag-1 correlation of the mean label above 0.4). Batches that the script cuts by hand out of
    three classes or more, nearly each of one class (V above 0.7), are told whatever their order: the blocks were
    shuffled, the examples were not. A fixed order of a loader without labels sorted is information.
    ## Why it matters
    With one class at a time the model learns to answer the class it sees now and forgets the ones before; the loss
    looks good within an epoch while the model is useless.
    ## How to fix
    `DataLoader(train, batch_size=…, shuffle=True)`; for hand-made batches `torch.randperm(len(X))` in every epoch.
    ## Source
    Bottou 2012, Stochastic Gradient Descent Tricks: shuffle. `shuffle=False` is the default of DataLoader.
    ## Known false alarms
    Class-incremental learning without a sampler. Random samplers, balanced batches (chi-square too small), real and
    fake batches in turn, sequence targets and forecasting are not flagged.
    """

    steps = Param(8, "fewer batches hold no order")
    z = Param(8.0, "p below 1e-15; the sparse-table approximation is far from exact, so no finer level is claimed")
    excess = Param(3.0, "the statistic over its expectation: 1 when shuffled, about the batch size when sorted")
    effect = Param(0.4, "Cramér's V: 0.1-0.2 in shuffled batches of 32, near 1 in sorted ones")
    pure = Param(0.7, "Cramér's V of batches of one class each, with few that hold the border of two")
    lag = Param(0.4, "sorted data change slowly from batch to batch; sampled groups and alternating batches do not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*SILENT):
            raise NotApplicable("batches of this kind of training are not drawn from one labelled set")
        loaders = [ld for ld in run.loaders if ld.used_in_training]
        if loaders and all(ld.shuffle for ld in loaders):
            raise NotApplicable("the loader draws by a random or chosen sampler")
        rows = {(b.step, n) for b in run.batches if b.training for n in b.shape[:1]}
        judged = 0
        for site in run.loss_sites:
            calls = [c for c in run.training_calls() if c.site == site.index and c.label_counts]
            calls = [c for c in calls if len(c.target_shape) == 1 and (c.step, c.target_shape[0]) in rows]
            table, steps = self._table(calls)
            if len(table) < self.steps.value or table.shape[1] < 2:
                continue
            judged += 1
            yield from self._judge(run, site, loaders, table, steps)
        if not judged:
            if not any(c.label_counts for c in run.training_calls()):
                raise NotApplicable("no class labels of single examples")
            raise NotEnoughEvidence(f"labels of fewer than {self.steps.value:.0f} batches, or of one class only")

    def _table(self, calls: list[LossCall]) -> tuple[Counts, Counts]:
        """Class counts per step, without classes that never occur and without partial batches; and the steps."""
        width = max((len(c.label_counts or []) for c in calls), default=0)
        by_step: dict[int, Counts] = {}
        for c in calls:
            row = np.zeros(width)
            row[: len(c.label_counts or [])] = c.label_counts
            by_step[c.step] = by_step.get(c.step, np.zeros(width)) + row
        steps = np.array(sorted(by_step), dtype=float)
        table = np.array([by_step[int(s)] for s in steps]).reshape(len(by_step), width)
        sizes = table.sum(1)
        whole = sizes >= 0.5 * median(sizes) if len(table) else np.zeros(0, bool)
        table = table[whole]
        return table[:, table.sum(0) > 0], steps[whole]

    def _judge(
        self, run: Run, site: LossSite, loaders: list[LoaderInfo], table: Counts, steps: Counts
    ) -> Iterator[Finding]:
        total, sizes = table.sum(), table.sum(1, keepdims=True)
        expected = sizes * table.sum(0, keepdims=True) / total
        statistic = float(((table - expected) ** 2 / expected).sum())
        free = (table.shape[0] - 1) * (table.shape[1] - 1)
        z = ((statistic / free) ** (1 / 3) - (1 - 2 / (9 * free))) / math.sqrt(2 / (9 * free))
        lag, effect = _lag(table, steps), math.sqrt(statistic / (total * min(table.shape[0] - 1, table.shape[1] - 1)))
        fixed = next((ld for ld in loaders if ld.shuffle is False), None)
        first = next((b for b in run.batches if b.training), None)
        picked = first.order_origin or first.origin or first.location if first else None
        where = (fixed.location if fixed else None) or picked or site.target_origin or site.location
        evidence = {"z": z, "cramers_v": effect, "lag_1": lag, "batches": len(table), "classes": table.shape[1]}
        beyond = z > self.z.value and statistic / free > self.excess.value
        if beyond and effect > self.effect.value and lag > self.lag.value:
            pure = float(np.mean(table.max(1) / sizes[:, 0]))
            yield Finding(
                f"The training batches are sorted by label: on average {pure:.0%} of a batch is one class (by chance "
                f"{float(table.sum(0).max() / total):.0%}), and neighbouring batches hold the same ones "
                f"(correlation {lag:.2f}, limit {self.lag.value}).",
                location=where,
                evidence={**evidence, "largest_share": pure},
                onset_step=int(steps[0]),
                severity=None if effect > self.pure.value else "warn",
                # Evaluations tell best; without them the error on batches of all classes does.
                patch=_by_hand(picked) if not fixed else "shuffle" if _evaluated(run) else "shuffle:others",
            )
        elif beyond and effect > self.pure.value and not loaders and table.shape[1] > 2 and _cut_by_hand(picked):
            pure = float(np.mean(table.max(1) / sizes[:, 0]))
            yield Finding(
                f"On average {pure:.0%} of a training batch is one class (by chance "
                f"{float(table.sum(0).max() / total):.0%}): the examples lie sorted by label, and whole blocks of them "
                "are taken, in whatever order.",
                location=where,
                evidence={**evidence, "largest_share": pure},
                onset_step=int(steps[0]),
                severity="warn",
                patch=_by_hand(picked),
                fix="Shuffle the examples, not the blocks: rows = torch.randperm(len(x)) per epoch, and x[rows[a:b]].",
            )
        elif fixed is not None and (fixed.length or 0) > 4 and fixed.batch_size not in (None, fixed.examples):
            yield Finding(
                "The loader gives the training examples in the same order in every epoch (shuffle=False).",
                location=fixed.location,
                evidence=evidence,
                severity="info",
            )


def _lag(table: Counts, steps: Counts) -> float:
    """The correlation of the mean label with that of the step before.

    Later steps are recorded with gaps, and what lies ten steps apart is no neighbour: only steps that follow on each
    other count, as long as there are any.
    """
    means = (table @ np.arange(table.shape[1])) / table.sum(1)
    next_to = np.diff(steps) == 1
    if not next_to.any():
        next_to[:] = True
    before, after = means[:-1][next_to], means[1:][next_to]
    if len(before) < 2 or means.var() == 0:
        return 0.0
    if before.var() == 0 or after.var() == 0:
        return 1.0  # one class in all of them, and others later
    return float(np.corrcoef(before, after)[0, 1])


def _by_hand(cut: Location | None) -> str:
    """Where the script cuts its batches itself, the rows that it cuts come in random order."""
    return f"source:rows:{Path(cut.file).name}:{cut.line}" if cut is not None and ":" in cut.code else ""


def _cut_by_hand(cut: Location | None) -> bool:
    """The batch is a slice of something, as the line says: no rows that were chosen one by one."""
    return cut is not None and (":" in cut.code.partition("#")[0].rstrip(":") or "slice(" in cut.code)


def _evaluated(run: Run) -> bool:
    """There are evaluations whose outcome is known."""
    return bool(run.recorded(Confusion)) or any(e.loss_value is not None for e in run.evaluations)
