"""The best constant prediction for a training with one loss: shared by S07 and L16."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossCall, LossSite
from flightcheck.recording.run import NotApplicable, NotEnoughEvidence, Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import Floats, median

WITHOUT_CONSTANT: Final = (
    "gan", "reinforcement", "contrastive", "self-supervised", "diffusion", "second-order", "compiled",
)  # fmt: skip
"""Regimes in which the loss does not measure progress, or no constant prediction exists."""


@frozen
class Baseline:
    """One training loss and what the best constant prediction would score."""

    site: LossSite
    calls: list[LossCall]
    value: float
    """Loss of the best constant prediction on the observed targets."""
    name: str
    """That value in words."""
    losses: Floats
    """The loss of every sampled step, on the scale of the loss function."""
    steps: list[int]
    scale: float = 1.0
    """The recorded loss over the value of the loss function."""

    @property
    def late(self) -> list[LossCall]:
        """The calls in the second half of the recorded steps."""
        return [c for c in self.calls if c.step >= self.steps[len(self.steps) // 2]]


def baseline(run: Run, at_least: int) -> Baseline:
    """The training's only loss with its constant prediction.

    Raises:
        NotApplicable: no single plain loss of the framework, or a regime without a constant prediction.
        NotEnoughEvidence: too few steps or too few observed calls.
    """
    if run.in_regime(*WITHOUT_CONSTANT):
        raise NotApplicable("the loss of this kind of training has no constant to compare with")
    if len([o for o in run.optimizers if o.steps]) > 1:
        raise NotApplicable("several optimizers: the losses may be those of opponents")
    calls = [c for c in run.training_calls() if c.value is not None and math.isfinite(c.value)]
    sites = {c.site for c in calls}
    if len(sites) != 1:
        raise NotApplicable(f"{len(sites)} loss lines of the framework, not one")
    site = run.site(calls[0])
    if site.settings.get("reduction", "mean") != "mean" or site.settings.get("weighted"):
        raise NotApplicable("the loss is weighted or not a mean")
    if site.settings.get("label_smoothing") or site.settings.get("pos_weight"):
        raise NotApplicable("the loss is smoothed or weighted")
    if any(c.target_requires_grad for c in calls):
        raise NotApplicable("the target is computed by the model")
    series = run.series(LOSS, at_least)
    finite = np.isfinite(series.values)
    if finite.sum() < at_least or finite.mean() < 0.9:
        raise NotEnoughEvidence("too few finite losses")
    scale = _scale({int(s): float(v) for s, v in zip(series.steps, series.values)}, calls)
    value, name = constant_loss(site.function, calls)
    steps = [int(s) for s in series.steps[finite]]
    return Baseline(site, calls, value, name, series.values[finite] / scale, steps, scale)


def _scale(recorded: dict[int, float], calls: Sequence[LossCall]) -> float:
    """The fixed factor between the loss function's value and the value on which backward was called."""
    last = {c.step: c.value for c in calls}
    ratios = [recorded[s] / v for s, v in last.items() if v and math.isfinite(recorded.get(s, math.nan))]
    if len(ratios) < 3:
        raise NotEnoughEvidence(f"{len(ratios)} of 3 steps with an observed loss call")
    middle = median(ratios)
    if middle <= 0 or max(abs(r / middle - 1) for r in ratios) > 0.01:
        raise NotApplicable("the loss has other terms than the observed one")
    return middle


def is_whole_loss(run: Run) -> bool:
    """The observed loss calls of a step make the value that backward was called on, up to a factor; True if unknown."""
    observed: dict[int, dict[int, float]] = {}
    for c in run.training_calls():
        if c.value is not None:
            observed.setdefault(c.step, {})[c.site] = c.value
    try:
        series = run.series(LOSS)
    except NotEnoughEvidence:
        return True
    recorded = {int(s): float(v) for s, v in zip(series.steps, series.values)}
    sums = {step: sum(values.values()) for step, values in observed.items()}
    ratios = [recorded.get(s, math.nan) / v for s, v in sums.items() if v and math.isfinite(v)]
    ratios = [r for r in ratios if math.isfinite(r)]
    return len(ratios) < 3 or max(ratios) - min(ratios) <= 0.02 * abs(median(ratios))


def classes_are_examples(calls: Sequence[LossCall]) -> bool:
    """Each example of the batch is a class of its own, of which there is one example: in-batch negatives."""
    return any(
        c.input_shape[:1] == [c.classes] and c.target_distinct == c.classes == math.prod(c.target_shape) for c in calls
    )


def constant_loss(function: str, calls: Sequence[LossCall]) -> tuple[float, str]:
    """The loss of the best constant prediction on these targets, and what it is.

    Raises:
        NotApplicable: no closed form for this loss or this kind of target.
        NotEnoughEvidence: too few labels for the entropy.
    """
    if function in ("cross_entropy", "nll_loss"):
        counts = np.zeros(max(c.classes for c in calls))
        for c in calls:
            if not c.label_counts or len(c.label_counts) > len(counts):
                raise NotApplicable("the targets are no class ids")
            if classes_are_examples([c]):
                raise NotApplicable("the classes are the examples of the batch")
            counts[: len(c.label_counts)] += c.label_counts
        used = counts[counts > 0]
        total = float(used.sum())
        if total < 10 * len(used):
            raise NotEnoughEvidence(f"{total:.0f} labels for {len(used)} classes")
        shares = used / total
        entropy = float(-(shares * np.log(shares)).sum()) + (len(used) - 1) / (2 * total)
        return entropy, f"the entropy of the {len(used)} class shares"
    means = np.array([c.target_mean for c in calls])
    if function in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        p = float(means.mean())
        if not 0 < p < 1:
            raise NotApplicable("all labels are equal")
        return -(p * math.log(p) + (1 - p) * math.log(1 - p)), f"the entropy of a {p:.0%} share of positives"
    if function == "mse_loss":
        variance = float(np.mean([c.target_std**2 for c in calls]) + means.var())
        if not variance > 1e-12 + 1e-6 * float(np.abs(means).max()) ** 2:
            raise NotApplicable("the targets are constant")
        return variance, "the variance of the targets"
    raise NotApplicable(f"no closed form for {function}")
