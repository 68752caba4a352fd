"""D04: evaluation inputs are prepared in another way than training inputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._awaited import awaited_evaluations
from flightcheck.checks.data._channel_order import TurnedChannels, turned_channels
from flightcheck.checks.data._first_tokens import other_first_tokens
from flightcheck.checks.data._inputs import first_layer
from flightcheck.checks.data._numbered_apart import NumberedApart, numbered_apart
from flightcheck.checks.data._own_statistics import Own, standardized_by_themselves
from flightcheck.checks.data._own_vocabulary import of_own_vocabularies
from flightcheck.checks.data._splits import OWN_DATA, Split, splits
from flightcheck.checks.depth import where
from flightcheck.frozen import frozen
from flightcheck.recording.batches import Batch
from flightcheck.recording.data_files import made_in
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median, quantiles

Floats = npt.NDArray[np.float64]


_LEVELS: Final = (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99)
"""Of `Batch.quantiles`."""


@frozen
class Difference:
    """What was done to one side only."""

    words: str
    in_training: bool
    """The side of which the other's step is missing is the training's."""


@check(
    "D04",
    "train-val-preprocessing-differs",
    severity="error",
    evidence="T",
    needs=("batches",),
    fix="Send training and evaluation data through the same transform, with the statistics of the training set.",
    patch="inputs:as-training",
)
class TrainValPreprocessingDiffers(Check):
    """The inputs of evaluation went through another preprocessing than those of training.

    ## What it checks
    Four marks of a step that only one side went through, on floating-point inputs: all quantiles differ by the
    factor 255; the values of both sides end at fixed bounds (0 and 1, -1 and 1, 0 and 16 …) that differ while the
    distributions between them agree; all quantiles of one side are those of the other times a factor plus an offset,
    and the factor is above 3 or below 1/3, or the two hardly overlap; of at least 4 features, one side is
    standardized (mean 0, standard deviation 1) and on the other most features lie 3 standard deviations away or have
    a 3 times different spread. It fires only if every evaluated batch that holds no training example differs.
    And of tensors that a model is given behind the loop in which the watch ends, if they are there by then: the same
    marks, if the source says that they come from the same data as the training's, one line of which puts the latter on
    another scale, and that these went through splits and conversions only.
    Warning: of images with three channels, the correlation of the first with the second minus that of the second with
    the third has the other sign in evaluation, 5 standard errors away, and agrees within 3 once the channels are turned
    round: RGB and BGR. No scaling of channels changes that number.
    Warning: evaluation inputs that hold no training example have mean 0 and standard deviation 1 to rounding in nearly
    all features (over one call, or all calls of one loop), batches of the training have not, and the line that made
    them takes statistics and is another one than the training's. Information where the line does not tell.
    Warning: all sequences of token ids of the training begin with one token, and all of an evaluation, eight or more,
    with another one; also of a decoder that is called for one position after the other.
    Warning, for token ids: in one pass over the training texts and in an evaluation on other texts, each id is at least
    as frequent as the next one, which chance does not explain. A vocabulary that was sorted by counts ranks the words
    of its own texts only, so there are two. The same where the ids of the training's rows, and those of an evaluation
    that begins with another row, are both numbered in the order in which they first appear.
    ## Why it matters
    The model answers inputs that it has never seen the like of. The validation result is bad whatever is trained,
    and looks like overfitting.
    ## How to fix
    Fit the transform on the training data and apply the same object to both: `scaler.transform(X_val)`;
    `transforms.Normalize(mean, std)` in both pipelines.
    ## Source
    Rabanser et al. 2019, Failing Loudly, tests for shifts; the marks of a missing step are ours.
    ## Known false alarms
    Evaluation on nothing but outliers of standardized data. Persons or sites that are standardized one by one on
    purpose, in training by another line than in evaluation. Domain shift, augmentation, grids for plots and noise
    robustness beside a clean evaluation are not flagged.
    """

    factor = Param(0.12, "quantiles of two samples of the same images differ by a few percent; 255 and 127.5 by 50")
    values = Param(16, "values per example from which they are pixels or a spectrum, not coordinates of a plot")
    bounds = Param(0.2, "share of the range by which the bounds must differ")
    agree = Param(0.12, "largest difference of the quantiles between the bounds")
    shape = Param(
        0.08, "largest difference of a quantile, as a share of the reach; two samples of one kind: under 0.05"
    )
    features = Param(4, "fewer features shift together by chance")
    deviations = Param(3.0, "standard deviations: a domain shift moves single features so far, not most of them")
    ratio = Param(3.0, "ratio of the spreads, for the same reason as above")
    most = Param(0.6, "share of the features that must differ")
    standard = Param(0.8, "share of features with a mean below 0.3 and a spread within 0.7-1.4: standardized")
    common = Param(0.2, "spread of the factors' logarithms: one factor for all features, as for pixels and signals")
    rows = Param(32, "rows of each side below which means and spreads are too uncertain")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime(*OWN_DATA):
            raise NotApplicable("models are called without gradients on data that are no evaluation set")
        texts = list(of_own_vocabularies(run))
        yield from texts[:1]
        if texts:
            return  # ids have no scale that could differ
        judged = 0
        for apart in list(numbered_apart(run))[:1]:
            judged += 1
            yield self._of_other_categories(apart)
        for begun in list(other_first_tokens(run))[:1]:
            judged += 1
            yield begun
        behind = list(self._behind_the_watch(run))
        yield from behind
        if behind:
            return
        for split in splits(run):
            training = [b for b in split.training if b.quantiles]
            held_out = [
                b for b in self._held_out(split) if b.quantiles and b.shape[1:2] == split.training[0].shape[1:2]
            ]
            if len(training) < 3 or not held_out or min(_count(training), _count(held_out)) < self.rows.value:
                continue
            judged += 1
            differences = [self._difference(training, [b]) for b in held_out if b.shape[0] >= 8]
            found = self._difference(training, held_out)
            turned = turned_channels(training, held_out) if found is None else None
            if turned is not None:
                yield self._of_channels(run, turned, training[0], held_out[0])
                continue
            if found is None or not differences or None in differences:
                own = standardized_by_themselves(split, training, held_out)
                if own is not None and first_layer(run, training[0]) != "norm":
                    yield self._of_their_own(own)
                continue
            side = training[0] if found.in_training else held_out[0]
            yield Finding(
                f"The inputs of evaluation differ from those of training as if one step of preprocessing were missing: "
                f"{found.words}.",
                location=_place(run, side, training[0], held_out[0]),
                evidence={
                    "training_quantiles": _median(training).tolist(),
                    "evaluation_quantiles": _median(held_out).tolist(),
                },
                onset_step=held_out[0].step,
            )
        if not judged:
            raise NotEnoughEvidence("too few floating-point inputs of training and of evaluation beside it")

    def _behind_the_watch(self, run: Run) -> Iterator[Finding]:
        """Evaluations that the watch does not reach, on data that are there: both the source and the numbers say that
        a step is missing. Other evaluations may well be right.
        """
        for training, b in awaited_evaluations(run):
            found = self._difference(training, [b]) if b.shape[0] >= self.rows.value else None
            if found is None or found.in_training or b.left_out is None:
                continue
            yield Finding(
                f"{b.name} in {where(b.location)} comes from the same data as the inputs of training, which "
                f"{where(b.left_out)} puts on another scale, and did not go through this step: {found.words}.",
                location=b.left_out,
                evidence={
                    "training_quantiles": _median(training).tolist(),
                    "evaluation_quantiles": b.quantiles,
                    "variable": b.name,
                    "evaluation_line": str(b.location),
                },
                onset_step=b.step,
                fix=f"Send {b.name} through the same step as in {where(b.left_out)}, with the training's statistics.",
            )
            return

    @staticmethod
    def _of_channels(run: Run, turned: TurnedChannels, trained: Batch, evaluated: Batch) -> Finding:
        return Finding(
            "The channels of the images stand in another order in evaluation: the correlation of the first with the "
            f"second, minus that of the second with the third, is {turned.training:.3g} in training and "
            f"{turned.evaluation:.3g} in evaluation ({turned.apart:.0f} standard errors), and the same once they are "
            "turned round (RGB and BGR).",
            location=_place(run, evaluated, trained, evaluated),
            evidence={"training": turned.training, "evaluation": turned.evaluation, "apart": turned.apart},
            onset_step=evaluated.step,
            severity="warn",
            fix="Read all images in one order: img[..., ::-1], or cv2.cvtColor(img, cv2.COLOR_BGR2RGB).",
            patch="inputs:turned",
        )

    @staticmethod
    def _of_other_categories(apart: NumberedApart) -> Finding:
        at, known = apart.evaluated.location, apart.evaluated.known
        fitted = at is not None and ".fit_transform(" in at.code
        rule = "known" if known else "transform" if fitted else ""
        return Finding(
            f"The evaluation's numbers in column {apart.evaluated.column} (argument {apart.evaluated.argument}) have "
            f"no gap although only {apart.present} of the {apart.known} of the training occur, and their frequencies "
            f"are those of other categories: they were numbered anew, and {apart.moved} of them mean another category "
            "than in training.",
            location=at,
            evidence={"known": apart.known, "present": apart.present, "moved": apart.moved, "likelier": apart.likelier},
            onset_step=apart.evaluated.step,
            severity="warn",
            fix=f"Use {known} here, which was made of the training data."
            if known
            else "Number the categories once, by those of the training data, and use these numbers in the evaluation.",
            patch=f"source:{rule}:{Path(at.file).name}:{at.line}" if rule and at is not None else "",
        )

    def _of_their_own(self, own: Own) -> Finding:
        several = f" in each of {len(own.groups)} calls" if len(own.groups) > 1 else ""
        message = (
            f"The evaluation inputs have mean 0 and standard deviation 1 to rounding in {own.features} features"
            f"{several} ({own.rows} rows): they were standardized with statistics of their own, not with those of the "
            "training examples."
        )
        at = own.location
        fitted = at is not None and ".fit_transform(" in at.code and own.certain
        return Finding(
            message
            if own.certain
            else f"{message} That is right only where the training was done group by group, too.",
            location=own.location,
            evidence={"features": own.features, "groups": len(own.groups), "rows": own.rows},
            onset_step=own.groups[0][0].step,
            severity="warn" if own.certain else "info",
            fix="Fit the scaler to the training examples once, and only apply it in the evaluation: "
            "scaler.transform(x) instead of scaler.fit_transform(x); (x - train_mean) / train_std.",
            patch=f"source:transform:{Path(at.file).name}:{at.line}" if fitted and at is not None else "",
        )

    def _held_out(self, split: Split) -> list[Batch]:
        """Evaluated batches without the training data that are evaluated again."""
        return [b for several in split.evaluated.values() for b in several if len(split.seen_before(b)) < 3]

    def _difference(self, training: list[Batch], held_out: list[Batch]) -> Difference | None:
        wide = math.prod(training[0].shape[1:]) >= self.values.value
        found = (self._factor(training, held_out) or self._bounds(training, held_out)) if wide else None
        found = found or self._standardization(training, held_out)
        return found or (self._affine(training, held_out) if wide else None)

    def _factor(self, training: list[Batch], held_out: list[Batch]) -> Difference | None:
        one, other = _median(training), _median(held_out)
        large = np.abs(one) > 0.05 * np.abs(one).max()
        if not large.any() or not (np.abs(other[large]) > 0).all():
            return None
        ratio = median(other[large] / one[large])
        top = max(b.maximum for b in held_out) / max((b.maximum for b in training), default=1.0)
        for factor in (255.0, 1 / 255.0):
            if abs(ratio / factor - 1) < self.factor.value and abs(top / factor - 1) < self.factor.value:
                which = "evaluation" if factor > 1 else "training"
                return Difference(
                    f"they differ by the factor 255, so the {which} data are not divided by it", factor < 1
                )
        return None

    def _bounds(self, training: list[Batch], held_out: list[Batch]) -> Difference | None:
        ends = [_bounds_of(side) for side in (training, held_out)]
        if ends[0] is None or ends[1] is None:
            return None
        (low, high), (other_low, other_high) = ends[0], ends[1]
        reach = max(high - low, other_high - other_low)
        if max(abs(low - other_low), abs(high - other_high)) < self.bounds.value * reach:
            return None
        inside = (_median(training) - low) / (high - low)
        other = (_median(held_out) - other_low) / (other_high - other_low)
        if float(np.abs(inside - other).max()) > self.agree.value:
            return None
        words = f"values of training lie between {low:.3g} and {high:.3g}, those of evaluation between {other_low:.3g} "
        return Difference(
            f"{words}and {other_high:.3g}, spread in the same way between these bounds", high > 2 * other_high
        )

    def _affine(self, training: list[Batch], held_out: list[Batch]) -> Difference | None:
        """The same distribution on another scale, so far away that no shift of the world explains it."""
        one, other = _pooled(training), _pooled(held_out)
        reach, other_reach = one[-1] - one[0], other[-1] - other[0]
        if not (reach > 0 and other_reach > 0):
            return None
        factor, offset, alike = self._mapped(one, other)
        if not alike and len(held_out) > 1:  # a single batch may hold one class only: its place and size tell
            return None
        scaled = abs(math.log(other_reach / reach)) > math.log(self.ratio.value)
        apart = abs(one[3] - other[3]) > max(one[-2] - one[1], other[-2] - other[1])
        if not (scaled or apart):
            return None
        return Difference(
            f"the values of evaluation are distributed as those of training times {factor:.3g} plus {offset:.3g} "
            f"(medians {one[3]:.3g} and {other[3]:.3g})",
            False,
        )

    def _mapped(self, one: Floats, other: Floats) -> tuple[float, float, bool]:
        """The factor and offset that make the quantiles `other` of `one`, and whether they do."""
        factor, offset = np.polyfit(one, other, 1)
        off = float(np.abs(other - (factor * one + offset)).max())
        return factor, offset, off < self.shape.value * float(other[-1] - other[0])

    def _standardization(self, training: list[Batch], held_out: list[Batch]) -> Difference | None:
        one, other = _moments(training), _moments(held_out)
        if one is None or other is None or len(one[0]) != len(other[0]):
            return None
        alive = (one[1] > 1e-6 * one[1].max()) & (other[1] > 1e-6 * other[1].max())
        if alive.sum() < self.features.value:
            return None
        (mean, std), (other_mean, other_std) = [(m[alive], s[alive]) for m, s in (one, other)]
        away = np.abs(mean - other_mean) > self.deviations.value * np.maximum(std, other_std)
        spread = np.abs(np.log(other_std / std)) > math.log(self.ratio.value)
        far = float((away | spread).mean())
        standard = [_standardized(m, s) > self.standard.value for m, s in ((mean, std), (other_mean, other_std))]
        if far < self.most.value or standard[0] == standard[1]:
            return None
        one_factor = float(np.std(np.log(other_std / std))) < self.common.value
        if one_factor and not self._mapped(_pooled(training), _pooled(held_out))[2]:
            return (
                None  # a step with one factor for all would leave the shape: examples are made louder, each by its own
            )
        names = ("training", "evaluation") if standard[0] else ("evaluation", "training")
        raw = (other_mean, other_std) if standard[0] else (mean, std)
        return Difference(
            f"the features are standardized in {names[0]} but not in {names[1]}, where their means reach "
            f"{np.abs(raw[0]).max():.3g} and their standard deviations {raw[1].max():.3g}",
            not standard[0],
        )


def _place(run: Run, side: Batch, trained: Batch, evaluated: Batch) -> Location | None:
    """Where the side was made that lacks a step. A line that both sides went through cannot be that: then the only
    line that puts data on another scale, which is that of the other side; else the line that asked for this side.
    """
    scaling = next((f.scaling for f in made_in(run, [side])), None)
    called = side.location is not None and side.origin is not None and side.location.line == side.origin.line
    if side.origin is not None and (trained.origin == evaluated.origin or (called and scaling)):
        return scaling or side.request or side.location
    return _later(side.origin, trained.origin) or side.location


def _later(missing: Location | None, done: Location | None) -> Location | None:
    """Where the side was made that lacks a step; if that lies before the other side's last step, that step."""
    if missing is not None and done is not None and missing.file == done.file and done.line > missing.line:
        return done
    return missing


def _count(batches: list[Batch]) -> int:
    return sum(b.shape[0] for b in batches)


def _median(batches: list[Batch]) -> Floats:
    found: Floats = np.array([median(q) for q in zip(*(b.quantiles or [] for b in batches))])
    return found


def _pooled(batches: list[Batch]) -> Floats:
    """The quantiles of all batches together, from those of each: batches may be sorted by class."""
    levels = np.linspace(_LEVELS[0], _LEVELS[-1], 99)
    values = np.concatenate([np.interp(levels, _LEVELS, b.quantiles) for b in batches])
    return quantiles(values, _LEVELS)


def _bounds_of(batches: list[Batch]) -> tuple[float, float] | None:
    """The smallest and largest value, if they are bounds: met by a share of the values, or by batch after batch."""
    low, high = median([b.minimum for b in batches]), median([b.maximum for b in batches])
    if not high > low:
        return None
    slack = 1e-3 * (high - low)
    middle = _median(batches)
    met = middle[0] - low < slack or high - middle[-1] < slack
    again = [abs(b.minimum - low) < slack and abs(b.maximum - high) < slack for b in batches]
    repeated = len({b.digest for b in batches}) >= 3 and float(np.mean(again)) >= 0.8
    return (low, high) if (met or repeated) and float(np.mean(again)) >= 0.5 else None


def _moments(batches: list[Batch]) -> tuple[Floats, Floats] | None:
    """Mean and standard deviation of each feature over all batches."""
    usable = [b for b in batches if b.feature_means and len(b.feature_means) == len(batches[0].feature_means)]
    if not usable:
        return None
    means, stds = (np.array([getattr(b, n) for b in usable]) for n in ("feature_means", "feature_stds"))
    return means.mean(0), np.sqrt((stds**2).mean(0) + means.var(0))


def _standardized(mean: Floats, std: Floats) -> float:
    return float(((np.abs(mean) < 0.3) & (std > 0.7) & (std < 1.4)).mean())
