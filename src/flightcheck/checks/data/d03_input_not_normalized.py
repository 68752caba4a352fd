"""D03: inputs on a scale that the first layer cannot work with."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.data._inputs import (
    FIRST_LAYERS,
    first_layer,
    line_of,
    main_inputs,
    reaches_first_layer,
    suffers,
)
from flightcheck.checks.data._under_noise import under_noise
from flightcheck.recording.batches import Batch
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

_EXACT, _NEARLY = 1e-3, 0.03
"""How near 0 the mean and 1 the deviation of every batch lie, where each example has exactly these."""
_TWICE = 2
_SPECTROGRAM = 3
"""Axes of a batch of spectrograms, at least."""
STANDARDIZED = "inputs:standardize"
UNUSUAL = ("reinforcement", "finetune", "second-order", "gan")


@check(
    "D03",
    "input-not-normalized",
    severity="warn",
    evidence="H",
    needs=("batches",),
    fix="Standardize the inputs with the mean and standard deviation of the training set.",
)
class InputNotNormalized(Check):
    """The inputs are on a scale that a linear, convolutional or recurrent first layer cannot work with.

    ## What it checks
    Floating-point inputs that reach the first layer as they are, without a normalization layer before it: a feature
    (or the whole input) with a mean or standard deviation above 50; features whose scales differ more than 1000-fold,
    the larger above 20; features most of which vary a hundred times less than the widest (scaled by the minimum and
    maximum of the whole table); features most of which lie more than ten times as far from 0 as they vary (each example
    standardized by itself; images divided by 255 twice, before a mean was subtracted); or values that are all below
    0.02 (the same without a mean; the line is that of the second division, where the source tells). It warns only if
    the loss shows harm: it began at more than 3 times the loss of predicting nothing, broke down, or did not get below
    a constant prediction; or, of values below 0.02, if a trial with standardized inputs takes away a third of the error
    of evaluations. Otherwise it informs.
    And data that noise is added to, with a noise level for each example (diffusion, flow matching): in 98 of 100
    examples the noise is larger than what any feature of the data varies by, and in the middle one 20 times as large.
    ## Why it matters
    Activations and gradients of the first layer grow with the inputs: large ones kill units in the first steps, and
    of features on different scales only the largest is learned.
    ## How to fix
    Standardize with training statistics: `(x - mean) / std`; for images `x / 255` first.
    ## Source
    LeCun et al. 1998, Efficient BackProp, section 4.3. The limits are ours, far outside usual practice.
    ## Known false alarms
    Decibel spectrograms, token ids, [0, 1] images, inputs that `forward` scales, pretrained models with their own
    range and reinforcement learning are never more than information.
    """

    large = Param(50, "[0, 255] images have 64-125, standardized data 1, [0, 1] images and moderate tables below 20")
    ratio = Param(1e3, "at 1000-fold scale the gradients of two features differ 1e6-fold")
    ratio_large = Param(20, "a rare 0/1 column beside a standardized one is no fault")
    flat = Param(100, "columns of one scale differ less, and rare 0/1 columns have a tenth of a common one's deviation")
    few = Param(3, "of two features one is always the flatter one")
    buried = Param(10, "scaled features lie within a few standard deviations of 0; what differs must not be a tenth")
    tiny = Param(0.02, "below it no value of the data differs from 0 for a usual initialization")
    divisor = Param(8, "divisions by less, as by a standard deviation of 0.3, change no scale by an order of magnitude")
    batches = Param(3, "one odd batch is no scale")

    def __call__(self, run: Run) -> Iterator[Finding]:
        yield from under_noise(run)
        checked, doubt = 0, ""
        told: set[Location | None] = set()
        for root, batches in main_inputs(run).items():
            kind = first_layer(run, batches[-1])
            usable = [b for b in batches if len(b.shape) >= 2 and not b.nonfinite and b.distinct != 1]
            if kind not in FIRST_LAYERS or not usable:
                continue
            if len(usable) < self.batches.value:
                doubt = f"{len(usable)} of {self.batches.value:.0f} observed batches"
                continue
            checked += 1
            reason = self._reason(usable)
            if not reason:
                continue
            scaled_inside = reaches_first_layer(run, usable[0])
            if scaled_inside is False:
                continue
            if scaled_inside is None and not usable[0].dtype.startswith(("float", "bfloat")):
                doubt = "integer inputs, and nothing tells how large they are at the first layer"
                continue
            last, again = usable[-1], self._divided_again(usable[-1])
            line = again[0] if again else last.made_float or line_of(last)
            if line in told:  # a model for each fold is fed from one line
                continue
            told.add(line)
            twice = (
                f" They are divided by {again[1]:g} here, and by {again[3]:g} in line {again[2].line}." if again else ""
            )
            yield Finding(
                f"The {kind} layer that comes first in {self._name(run, root)} is fed with {reason}.{twice}",
                location=line,
                evidence={
                    "mean": last.mean,
                    "std": last.std,
                    "minimum": last.minimum,
                    "maximum": last.maximum,
                    "buried": self._buried(usable) is not None,
                },
                severity=self._severity(run, root, usable),
                fix="Scale the inputs once." if again else "",
                patch=STANDARDIZED,
            )
        if doubt:
            raise NotEnoughEvidence(doubt)
        if not checked:
            raise NotApplicable("no model whose first layer weighs plain numbers")

    def _reason(self, batches: list[Batch]) -> str:
        mean, std = (median([getattr(b, n) for b in batches]) for n in ("mean", "std"))
        size = max(max(abs(b.minimum), abs(b.maximum)) for b in batches)
        features = [b for b in batches if b.feature_std_max is not None and b.feature_mean_max is not None]
        widest = median([b.feature_std_max or 0.0 for b in features]) if features else 0.0
        farthest = median([b.feature_mean_max or 0.0 for b in features]) if features else 0.0
        least = median([b.feature_std_min or 0.0 for b in features]) if features else 0.0
        large = max(math.hypot(mean, std), widest, farthest)
        if least > 0 and widest / least > self.ratio.value and large > self.ratio_large.value:
            return (
                f"features on very different scales: standard deviations from {least:.3g} to {widest:.3g}"
                f"{_columns(batches[-1])}, means up to {farthest:.3g} (limit: a factor of {self.ratio.value:.0f})"
            )
        if large > self.large.value:
            what = f", single features up to {max(widest, farthest):.3g}" if max(widest, farthest) > 2 * std else ""
            return f"values of mean {mean:.3g} and standard deviation {std:.3g}{what} (limit: {self.large.value:.0f})"
        spreads = np.array(batches[-1].feature_stds or [])
        if len(spreads) >= self.few.value and 0 < (middle := median(spreads)) < widest / self.flat.value:
            return (
                f"features most of which hardly vary: standard deviations of {middle:.2g} in the middle beside "
                f"{widest:.3g} (limit: a factor of {self.flat.value:.0f}), as after one minimum and maximum for all"
            )
        if (buried := self._buried(batches)) is not None:
            middle, far = buried
            own = all(abs(b.mean) < _EXACT and abs(b.std - 1) < _NEARLY for b in batches)
            return (
                f"features most of which hardly vary: standard deviations of {middle:.2g} in the middle around means "
                f"of {far:.2g} (limit: a factor of {self.buried.value:.0f})"
                + (", as after each example was standardized by itself" if own else "")
            )
        if 0 < size < self.tiny.value:
            return f"values that are never larger than {size:.2g} (limit: {self.tiny.value})"
        return ""

    def _buried(self, batches: list[Batch]) -> tuple[float, float] | None:
        """Standard deviation and mean of the middle feature, where what it says is small beside how far it lies."""
        last = batches[-1]
        means, stds = np.abs(last.feature_means or []), np.array(last.feature_stds or [])
        if len(means) != len(stds) or not len(stds) or not (stds > 0).all():
            return None
        if len(stds) < self.few.value and last.maximum - last.minimum > means.min():
            return None  # rare marks on an even ground: they lie far from it
        middle = int(np.argsort(means / stds)[len(stds) // 2])
        return (float(stds[middle]), float(means[middle])) if means[middle] > self.buried.value * stds[middle] else None

    def _divided_again(self, batch: Batch) -> tuple[Location, float, Location, float] | None:
        """The last division and the one before it, with their numbers, where without the last all would be usual."""
        pairs = zip(batch.divisions, batch.divided_by)
        large = [(at, number) for at, number in pairs if number >= self.divisor.value]
        if len(large) < _TWICE or not 1 / self.large.value < (batch.maximum - batch.minimum) * large[0][1]:
            return None
        (last, number), (before, other) = large[:_TWICE]
        return (last, number, before, other) if (batch.maximum - batch.minimum) * number < self.large.value else None

    def _severity(self, run: Run, root: int, batches: list[Batch]) -> Severity | None:
        loaded = any(r.index == root and r.loaded for r in run.roots)
        highest, lowest = max(b.maximum for b in batches), min(b.minimum for b in batches)
        decibel = highest <= 1 and lowest < -self.large.value and len(batches[0].shape) >= _SPECTROGRAM
        shown = ("D03", STANDARDIZED, "confirmed") in ((e.question, e.patch, e.status) for e in run.experiments)
        return None if (suffers(run) or shown) and not (loaded or decibel or run.in_regime(*UNUSUAL)) else "info"

    def quiet_inputs(self, run: Run) -> Finding | None:
        """All values hardly differ, beside their mean or since they are so small, and the loss shows no harm: a trial
        tells of it.
        """
        try:
            found = [f for f in self(run) if f.severity == "info" and f.patch == STANDARDIZED]
        except (NotApplicable, NotEnoughEvidence):
            return None
        sizes = [max(abs(f.evidence["minimum"]), abs(f.evidence["maximum"])) for f in found]
        return next((f for f, size in zip(found, sizes) if size < self.tiny.value or f.evidence["buried"]), None)

    def _name(self, run: Run, root: int) -> str:
        return next((r.name or r.type for r in run.roots if r.index == root), "the model")


def _columns(batch: Batch) -> str:
    """Which columns of a table these are, in words."""
    stds = batch.feature_stds or []
    if len(batch.shape) != 2 or len(stds) != batch.shape[1]:
        return ""
    order = sorted(range(len(stds)), key=stds.__getitem__)
    return f" (columns {order[0]} and {order[-1]}, counted from 0)"
