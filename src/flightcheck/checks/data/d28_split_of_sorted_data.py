"""D28: data that are sorted by class were cut into training and test set without being mixed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._splits import OWN_DATA
from flightcheck.recording.evaluated_labels import EvaluatedLabels
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run

_CLASSES: Final = ("cross_entropy", "nll_loss")
_BINARY: Final = ("binary_cross_entropy_with_logits", "binary_cross_entropy")


@check(
    "D28",
    "split-of-sorted-data",
    severity="error",
    evidence="X",
    needs=("EvaluatedLabels",),
    fix="Mix the examples before they are split, by one permutation for inputs and labels (or train_test_split with "
    "stratify=y).",
)
class SplitOfSortedData(Check):
    """The test set begins with the class at which the training set ends.

    ## What it checks
    The labels of all training steps, and those that evaluations compare with answers. Told if no class of the evaluated
    examples lies below (or none above) a class of the training, so that they have one class in common at the most: so
    it is where data that are sorted by class are cut at a place. It must be so of all evaluations of other data
    than the training's together, the largest with at least 20 examples, and so unlikely (below 1e-9) that a fair draw
    is excluded.
    ## Why it matters
    The model has seen few examples of what it is tested on, or none: the test says nothing of what it learned, and the
    classes of the test set are not learned at all.
    ## How to fix
    `order = torch.randperm(len(X)); X, y = X[order], y[order]` before the cut, `random_split`, or
    `train_test_split(X, y, stratify=y)`.
    ## Source
    scikit-learn's user guide, 3.1: cross-validation where the order of the data is not arbitrary.
    ## Known false alarms
    Evaluations on new classes alone (open sets, class-incremental learning before a task) whose numbers all lie behind
    those of the training; one evaluation of known classes beside them keeps it silent. Training batches that are
    themselves sorted are D06's.
    """

    examples = Param(20, "of fewer a class may be missing by chance or choice")
    chance = Param(1e-9, "of a fair draw: no accident among all evaluations that anybody makes")
    drift = Param(0.25, "of the labels at the most change from the first to the second half of the training seen")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*OWN_DATA):
            raise NotApplicable("models are called without gradients on data that are no evaluation set")
        halves = _training_labels(run)
        if halves is None:
            raise NotApplicable("no classification with a label for each example in training")
        trained = halves.sum(0)
        known = {d.source for d in run.datasets if d.trained}
        seen = {r for b in run.batches if b.training for r in b.rows if r}
        found = [e for e in run.recorded(EvaluatedLabels) if e.source not in known and not _is_trained(run, e, seen)]
        if trained.sum() < self.examples.value or not found:
            raise NotEnoughEvidence("no evaluation of data other than the training's was seen")
        if self._drifts(halves):
            raise NotEnoughEvidence("the training itself goes through the classes one after the other")
        largest = max(found, key=lambda e: sum(e.counts))
        pooled = np.zeros(max(len(e.counts) for e in found), np.int64)
        for e in found:  # one class after the other is a way to measure each
            pooled[: len(e.counts)] += np.array(e.counts, np.int64)
        if sum(largest.counts) < self.examples.value or not self._apart(trained, pooled):
            return
        yield Finding(
            self._text(trained, largest),
            location=_cut_at(run, largest) or largest.location,
            evidence={"trained": trained.tolist(), "evaluated": largest.counts},
            onset_step=largest.step,
        )

    def _drifts(self, halves: npt.NDArray[np.int64]) -> bool:
        shares = halves / np.maximum(halves.sum(1, keepdims=True), 1)
        return bool(np.abs(shares[0] - shares[1]).sum() / 2 > self.drift.value)

    def _apart(self, trained: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> bool:
        mine, theirs = np.flatnonzero(trained), np.flatnonzero(counts)
        if len(mine) < 2 or not (theirs.min() >= mine.max() or theirs.max() <= mine.min()):
            return False
        total = trained.sum()
        logs = [
            n * math.log10(max(float(trained[c]) if c < len(trained) else 0.0, 1.0) / total)
            for c, n in enumerate(counts)
            if n
        ]
        return float(sum(logs)) < math.log10(self.chance.value)

    @staticmethod
    def _text(trained: npt.NDArray[np.int64], evaluated: EvaluatedLabels) -> str:
        total, count = int(trained.sum()), sum(evaluated.counts)
        classes = [c for c, n in enumerate(evaluated.counts) if n]
        seen = sum(int(trained[c]) for c in classes if c < len(trained))
        names = ", ".join(map(str, classes[:4])) + (" …" if len(classes) > 4 else "")
        what = f"class {names}" if len(classes) == 1 else f"classes {names}"
        return (
            f"All {count} evaluated labels are of {what}, which {seen / total:.0%} of the training's are of: the data "
            "are sorted by class, and were cut into training and test set as they lay."
        )


def _is_trained(run: Run, evaluated: EvaluatedLabels, seen: set[int]) -> bool:
    """Of the examples that the model was called on, most were in batches of the training."""
    rows = [r for b in run.batches if not b.training and b.digest == evaluated.digest for r in b.rows if r]
    return sum(r in seen for r in rows) > len(rows) / 2


def _training_labels(run: Run) -> npt.NDArray[np.int64] | None:
    """How often each class was a target in the first and in the second half of the training steps that were seen."""
    calls = [(c, counts) for c in run.training_calls(*_CLASSES, *_BINARY) if (counts := _counts(c))]
    if len(calls) < 2 or len({c.site for c, _ in calls}) != 1:
        return None
    width = max(len(counts) for _, counts in calls)
    halves: npt.NDArray[np.int64] = np.zeros((2, width), np.int64)
    for i, (_, counts) in enumerate(calls):
        halves[2 * i // len(calls)][: len(counts)] += np.array(counts, np.int64)
    return halves


def _counts(call: LossCall) -> list[int]:
    """How often each class was a target of a call with one label for each example; empty if it is no such call."""
    if call.label_counts is not None:
        return call.label_counts if len(call.target_shape) == 1 else []
    if not call.target_binary or math.prod(call.target_shape[1:]) != 1:
        return []
    positive = round(call.target_mean * call.target_shape[0]) if call.target_shape else 0
    return [call.target_shape[0] - positive, positive] if call.target_shape else []


def _cut_at(run: Run, evaluated: EvaluatedLabels) -> Location | None:
    """The line that picks the evaluated examples, as far as the source tells."""
    batches = [b for b in run.batches if not b.training and b.source == evaluated.source]
    batch = next((b for b in batches if b.order_origin is not None), batches[0] if batches else None)
    return (batch.order_origin or batch.origin) if batch is not None else None
