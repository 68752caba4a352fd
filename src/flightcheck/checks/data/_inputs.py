"""What the models were fed with: shared by the checks of data."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from flightcheck.recording.batches import Batch
from flightcheck.recording.loss_records import LossCall
from flightcheck.recording.records import Location
from flightcheck.recording.run import NotEnoughEvidence, Run
from flightcheck.recording.signals import ACTIVATION_RMS
from flightcheck.recording.tables import median

FIRST_LAYERS: Final = ("linear", "conv", "rnn", "attention")
"""Kinds of first layers whose output grows with the scale of the input."""
REGRESSION: Final = ("mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss")


def main_inputs(run: Run) -> dict[int, list[Batch]]:
    """Per root the training batches of its first tensor argument, in order; tensors made by a model left out.

    Raises:
        NotEnoughEvidence: no training input was recorded.
    """
    found: dict[int, list[Batch]] = {}
    names: dict[int, str] = {}
    for batch in run.batches:
        if batch.training and names.setdefault(batch.root, batch.argument) == batch.argument:
            found.setdefault(batch.root, []).append(batch)
    if not found:
        raise NotEnoughEvidence("no tensor input of a model was recorded in training")
    return {
        root: several for root, batches in found.items() if (several := [b for b in batches if not b.requires_grad])
    }


def line_of(batch: Batch) -> Location | None:
    """Where the values were computed, else where the model was called."""
    return batch.origin or batch.location


def first_layer(run: Run, batch: Batch) -> str:
    """Kind of the first layer that weighs the input; ``norm`` if a normalization (even without weights) comes first."""
    kinds = [m for m in run.modules if m.root == batch.root and m.leaf and m.order >= 0]
    for module in sorted(kinds, key=lambda m: m.order):
        if module.kind in ("norm", "batchnorm"):
            return "norm"
        if module.trainable:
            return module.kind
    return batch.first_module


def reaches_first_layer(run: Run, batch: Batch) -> bool | None:
    """The first layer's output has the size of this input: nothing in ``forward`` scaled it down. None if unknown."""
    rms = math.hypot(batch.mean, batch.std)
    layers = [m for m in run.modules if m.root == batch.root and m.leaf and m.order >= 0 and m.trainable]
    first = min(layers, key=lambda m: m.order, default=None)
    if first is None or first.kind not in ("linear", "conv") or not rms > 0:
        return None
    try:
        output = run.table(ACTIVATION_RMS).column(first.index)
    except NotEnoughEvidence:
        return None
    if not len(output) or not math.isfinite(output.values[0]):
        return None
    return bool(output.values[0] > 0.05 * rms)


def suffers(run: Run) -> bool | None:
    """The loss began far above that of a constant prediction, broke down, or never got below it. None if unknown."""
    answers: list[bool] = []
    for site in run.loss_sites:
        calls = [c for c in run.training_calls() if c.site == site.index and c.value is not None]
        if len(calls) < 8 or site.settings.get("reduction", "mean") != "mean":
            continue
        values = np.array([c.value for c in calls], dtype=float)
        if not np.isfinite(values).all():
            return True
        start, constant = _references(site.function, calls)
        if not constant > 0:
            continue
        blown = median(values[:3]) > 3 * start
        stuck = calls[-1].step >= 40 and median(values[-max(3, len(values) // 4) :]) > 0.95 * constant
        answers.append(blown or stuck)
    return any(answers) if answers else None


def _references(function: str, calls: list[LossCall]) -> tuple[float, float]:
    """The loss of predicting nothing (0, or equal shares), and that of the best constant; 0 where there is none."""
    classes = max(c.classes for c in calls)
    if function in ("cross_entropy", "nll_loss") and classes > 1:
        return math.log(classes), _entropy([c.label_counts for c in calls if c.label_counts]) or math.log(classes)
    if function.startswith("binary_cross_entropy"):
        return math.log(2), math.log(2)
    if function == "mse_loss":
        variance, square = target_moments(calls)
        return square, variance
    return 0.0, 0.0


def _entropy(counts: list[list[int]]) -> float:
    """Of the class shares; 0 where no labels were counted."""
    total = np.sum([np.pad(c, (0, max(map(len, counts)) - len(c))) for c in counts], axis=0) if counts else np.zeros(1)
    shares = total[total > 0] / max(total.sum(), 1)
    return float(-(shares * np.log(shares)).sum())


def target_moments(calls: list[LossCall]) -> tuple[float, float]:
    """Variance and mean square of the targets over several calls."""
    means = np.array([c.target_mean for c in calls], dtype=float)
    within = np.array([c.target_std for c in calls], dtype=float) ** 2
    return float(within.mean() + means.var()), float((within + means**2).mean())
