"""D10: classes of very different size, treated not at all, twice, or the wrong way round."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._class_sampling import Missampled, missampled
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.run import Run

Counts = npt.NDArray[np.int64]

_BINARY = ("binary_cross_entropy_with_logits", "binary_cross_entropy")


@check(
    "D10",
    "class-imbalance-untreated",
    severity="warn",
    evidence="T",
    needs=("loss_calls", "datasets"),
    fix="Use one correction: class weights in the loss, or a balanced sampler, or logit adjustment.",
)
class ClassImbalanceUntreated(Check):
    """One class is much more frequent than another and nothing is done, it is corrected twice, or made worse.

    ## What it checks
    Double correction (warning): a weighted sampler makes the labels of the batches balanced, *and* the loss weights
    the classes more than 3-fold. Deepened (warning): the more frequent a class, the more the loss weights it, about in
    proportion, and more than 3-fold. The same of a `WeightedRandomSampler`, by its weights and the labels that the
    dataset holds: exactly the counts (or their roots) where their inverse was meant, or exactly the inverse counts but
    of other classes (warning). No correction (information): of at least 500 labels the most frequent class has
    more than 10 times as many as the least frequent one.
    ## Why it matters
    A model that always answers the frequent class has a low loss; corrected twice, the rare class counts as often as
    if it were the frequent one, and its false alarms abound.
    ## How to fix
    One correction is enough: `CrossEntropyLoss(weight=…)` or `WeightedRandomSampler`, never both. Weights are the
    inverse of the counts: `weight = counts.sum() / (len(counts) * counts)`, `pos_weight = negatives / positives`; of a
    sampler `(1 / counts)[labels]`, with the labels in the order of the dataset.
    ## Source
    SageMaker Debugger ClassImbalance (ratio 10). Menon et al. 2021, Long-tail learning via logit adjustment.
    ## Known false alarms
    Class weights that stand for costs, beside a balanced sampler. A sampler that is to draw frequent classes more often
    than they are, by exactly their counts.
    """

    labels = Param(500, "fewer labels tell little of the rare class")
    ratio = Param(10, "as SageMaker: below it a plain loss copes")
    weights = Param(3, "weights closer together are no correction of an imbalance")
    slope = Param(0.5, "of log weight over log count: 1 are frequencies, −1 is a correction, −0.5 half a one")
    likeness = Param(0.9, "correlation of log weights and log counts; costs of one's own do not follow counts")
    balanced = Param(2, "ratio of the class counts that a balancing sampler leaves by chance")
    classes = Param(100, "vocabularies and long tails are uneven by nature")

    def __call__(self, run: Run) -> Iterator[Finding]:
        sampled = [self._missampled(m) for m in missampled(run, self.weights.value)]
        yield from sampled
        judged = len(sampled)
        sampler = next(
            (d for d in run.datasets if d.trained and (d.sampler_weight_ratio or 1) > self.weights.value), None
        )
        for site in run.loss_sites:
            counts = self._counts(run, site)
            if counts.sum() < self.labels.value or len(counts) < 2:
                continue
            judged += 1
            ratio = float(counts.max() / counts.min())
            weighted = float(site.settings.get("weight_ratio", 1.0))
            if sampler is not None and weighted > self.weights.value and ratio < self.balanced.value:
                yield Finding(
                    f"The sampler ({sampler.sampler}) already balances the classes (largest over smallest count "
                    f"{ratio:.1f}), and the loss weights them up to {weighted:.0f}-fold once more.",
                    location=site.weight_origin or site.location,
                    evidence={"ratio": ratio, "weight_ratio": weighted, "sampler": sampler.sampler},
                    patch=self._patch(run, site),
                )
            elif sampler is None and self._deepened(site, self._totals(run, site)):
                yield Finding(
                    f"The most frequent class is {ratio:.0f} times as frequent as the least frequent one, and the loss "
                    f"weights it {weighted:.3g} times as much: the weights follow the counts, not their inverse.",
                    location=site.weight_origin or site.location,
                    evidence={"ratio": ratio, "weights": site.settings["class_weights"], "counts": counts.tolist()},
                    patch=self._patch(run, site),
                    fix="Use the inverse, counts.sum() / (len(counts) * counts); as pos_weight negatives / positives.",
                )
            elif not sampled and sampler is None and ratio > self.ratio.value and not site.settings.get("weighted"):
                yield Finding(
                    f"The most frequent class is {ratio:.0f} times as frequent as the least frequent one, and neither "
                    "the loss nor the sampler takes account of it.",
                    location=site.location,
                    evidence={"ratio": ratio, "counts": counts.tolist()},
                    severity="info",
                )
        if not judged:
            if not any(c.label_counts for c in run.training_calls()):
                raise NotApplicable("no class labels")
            raise NotEnoughEvidence(f"fewer than {self.labels.value:.0f} class labels, or one class only")

    @staticmethod
    def _missampled(found: Missampled) -> Finding:
        s = found.sampler
        counts = s.class_counts or [1]
        if found.follows:
            what = "follow the counts, not their inverse"
            drawn = f"so that the one is drawn {found.most:.0f} times as often as the other"
        else:
            what = "are the inverse of the counts, but not of these classes"
            drawn = f"so that the classes are drawn up to {found.most:.0f} times as often as one another"
            if s.class_weights is None:
                drawn = f"so that {s.misplaced:.0%} of the examples have the weight of another class"
        return Finding(
            f"The most frequent class has {max(counts) / min(counts):.0f} times as many examples as the least frequent "
            f"one, and the weights of the {s.type} {what}, {drawn}.",
            location=s.weight_origin or s.location,
            evidence={"counts": counts, "sampler_weights": s.class_weights, "misplaced": s.misplaced},
            patch="sampler:balanced",
            fix="Weight each example by the inverse of its class's count: (1.0 / torch.bincount(labels))[labels], with "
            "the labels in the order of the dataset.",
        )

    def _patch(self, run: Run, site: LossSite) -> str:
        """Weights by the inverse of the counts in the batches: with a balancing sampler all the same."""
        totals = self._totals(run, site)
        return f"loss:balanced={','.join(map(str, totals.tolist()))}" if len(totals) else ""

    def _deepened(self, site: LossSite, totals: Counts) -> bool:
        """The class weights grow with the counts, about in proportion."""
        weights = np.array(site.settings.get("class_weights") or [], float)
        if len(weights) != len(totals):
            return False
        used = (weights > 0) & (totals > 0)
        if used.sum() < 2:
            return False
        w, n = np.log(weights[used]), np.log(totals[used])
        if min(np.ptp(w), np.ptp(n)) < np.log(self.weights.value):
            return False
        slope = float(np.cov(w, n)[0, 1] / np.var(n, ddof=1))
        return slope > self.slope.value and float(np.corrcoef(w, n)[0, 1]) > self.likeness.value

    def _counts(self, run: Run, site: LossSite) -> Counts:
        """How often each class that occurs at all was a target."""
        totals = self._totals(run, site)
        return totals[totals > 0]

    def _totals(self, run: Run, site: LossSite) -> Counts:
        """How often each class was a target; of a binary target with weights, the negative and the positive one."""
        calls = [c for c in run.training_calls() if c.site == site.index and len(c.target_shape) in (1, 2)]
        rows = {(b.step, n) for b in run.batches if b.training for n in b.shape[:1]}
        calls = [c for c in calls if (c.step, math.prod(c.target_shape)) in rows]  # one label per example: no tokens
        if site.function in _BINARY and (site.settings.get("class_weights") or not site.settings.get("weighted")):
            positive = sum(c.target_mean * math.prod(c.target_shape) for c in calls if c.target_binary)
            total = sum(math.prod(c.target_shape) for c in calls if c.target_binary)
            return np.array([total - positive, positive]).round().astype(np.int64)
        calls = [c for c in calls if c.label_counts and len(c.target_shape) == 1]
        width = max((len(c.label_counts or []) for c in calls), default=0)
        totals: Counts = np.zeros(width if width <= self.classes.value else 0, np.int64)
        for c in calls if len(totals) else []:
            totals[: len(c.label_counts or [])] += np.array(c.label_counts, np.int64)
        return totals
