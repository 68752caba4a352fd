"""D10: classes of very different size, treated not at all, twice, or the wrong way round."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.data._class_sampling import Missampled, missampled
from flightcheck.recording.inputs import DatasetInfo
from flightcheck.recording.loss_records import LossSite
from flightcheck.recording.run import Run

Counts = npt.NDArray[np.int64]

TURNED = "loss:turned"
_LABEL_CALLS, _NEAR, _VARIED = 3, 2.0, 1.2
"""Calls of a loss; the factor between weights and odds, which a sample of the examples leaves open; and that between
the weights."""
_BINARY = ("binary_cross_entropy_with_logits", "binary_cross_entropy")
_LABELS = 500
_RATIO = 10
_WEIGHTS = 3
_CLASSES = 100


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
    proportion, and more than 3-fold; or `pos_weight` of several labels is positives / negatives of each. The same of a
    `WeightedRandomSampler`, by its weights and the labels that the dataset holds: exactly the counts (or their roots)
    where their inverse was meant, or exactly the inverse counts but of other classes (warning). No correction
    (information): of at least 500 labels the most frequent class has more than 10 times as many as the least frequent
    one. A warning where the script itself prints a number that counts the classes alike (balanced accuracy, F1, macro
    averages, Matthews' or Cohen's coefficient, or a recall below 0.2), and a trial with class weights brings it up by
    at least 0.1 and by a third of what it lacks.
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

    labels = Param(_LABELS, "fewer labels tell little of the rare class")
    ratio = Param(_RATIO, "as SageMaker: below it a plain loss copes")
    weights = Param(_WEIGHTS, "weights closer together are no correction of an imbalance")
    slope = Param(0.5, "of log weight over log count: 1 are frequencies, −1 is a correction, −0.5 half a one")
    likeness = Param(0.9, "correlation of log weights and log counts; costs of one's own do not follow counts")
    balanced = Param(2, "ratio of the class counts that a balancing sampler leaves by chance")
    classes = Param(_CLASSES, "vocabularies and long tails are uneven by nature")

    def __call__(self, run: Run) -> Iterator[Finding]:
        sampled = [self._missampled(m) for m in missampled(run, self.weights.value)]
        yield from sampled
        judged = len(sampled)
        sampler = _balancing_sampler(run)
        plain = {site.index for site in uncorrected(run)}
        for site in run.loss_sites:
            if (odds := self._weighted_by_odds(run, site)) is not None:
                judged += 1
                yield odds
                continue
            counts = _present(run, site)
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
                    patch=patch_of(run, site),
                )
            elif sampler is None and self._deepened(site, _totals(run, site)):
                yield Finding(
                    f"The most frequent class is {ratio:.0f} times as frequent as the least frequent one, and the loss "
                    f"weights it {weighted:.3g} times as much: the weights follow the counts, not their inverse.",
                    location=site.weight_origin or site.location,
                    evidence={"ratio": ratio, "weights": site.settings["class_weights"], "counts": counts.tolist()},
                    patch=patch_of(run, site),
                    fix="Use the inverse, counts.sum() / (len(counts) * counts); as pos_weight negatives / positives.",
                )
            elif site.index in plain:
                yield self._untreated(run, site, ratio, counts)
        if not judged:
            if not any(c.label_counts for c in run.training_calls()):
                raise NotApplicable("no class labels")
            raise NotEnoughEvidence(f"fewer than {self.labels.value:.0f} class labels, or one class only")

    def _weighted_by_odds(self, run: Run, site: LossSite) -> Finding | None:
        """Several labels for each example, whose `pos_weight` is positives / negatives of each."""
        calls = [c for c in run.training_calls() if c.site == site.index and c.label_shares]
        weights = np.array(site.settings.get("class_weights") or [], float)
        if len(calls) < _LABEL_CALLS or sum(c.target_shape[0] for c in calls) < self.labels.value:
            return None
        shares = np.average([c.label_shares or [] for c in calls], axis=0, weights=[c.target_shape[0] for c in calls])
        used = (shares > 0) & (shares < 1) & (weights > 0) if len(shares) == len(weights) else np.zeros(1, bool)
        if used.sum() < 2:
            return None
        odds, given = np.log(shares[used] / (1 - shares[used])), np.log(weights[used])
        alike = np.ptp(given) < np.log(_VARIED)  # one number for all labels is a cost, and no count
        if alike or np.abs(given - odds).max() > np.log(_NEAR) or np.median(np.abs(given)) < np.log(self.weights.value):
            return None
        return Finding(
            f"pos_weight is {np.exp(given).min():.3g} to {np.exp(given).max():.3g}, the positives of each label over "
            "its negatives: rare labels count even less. It is the inverse that makes up for them.",
            location=site.weight_origin or site.location,
            evidence={"weights": weights.tolist(), "shares": shares.tolist()},
            patch=TURNED,
            fix="Use negatives / positives of each label.",
        )

    @staticmethod
    def _untreated(run: Run, site: LossSite, ratio: float, counts: Counts) -> Finding:
        patch = patch_of(run, site)
        told = (
            f"The most frequent class is {ratio:.0f} times as frequent as the least frequent one, and neither "
            "the loss nor the sampler takes account of it."
        )
        tried = (e for e in run.experiments if (e.question, e.patch, e.status) == ("D10", patch, "confirmed"))
        proof = next(tried, None)
        if proof is not None and proof.before is not None and proof.after is not None:
            told += (
                f" The script's own {proof.metric.removeprefix('printed ')} is {proof.before:.3g}, and "
                f"{proof.after:.3g} where the classes count alike."
            )
        return Finding(
            told,
            location=site.module_location or site.location,
            evidence={"ratio": ratio, "counts": counts.tolist()},
            severity="warn" if proof else "info",
            patch=patch if proof else "",
        )

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


def uncorrected(run: Run) -> Iterator[LossSite]:
    """Losses over classes of very different size, where neither their weights nor a sampler takes account of it."""
    if _balancing_sampler(run) is not None or any(missampled(run, _WEIGHTS)):
        return
    for site in run.loss_sites:
        counts = _present(run, site)
        enough = counts.sum() >= _LABELS and len(counts) > 1
        if enough and counts.max() > _RATIO * counts.min() and not site.settings.get("weighted"):
            yield site


def patch_of(run: Run, site: LossSite) -> str:
    """Weights by the inverse of the counts in the batches: with a balancing sampler all the same."""
    totals = _totals(run, site)
    return f"loss:balanced={','.join(map(str, totals.tolist()))}" if len(totals) else ""


def _balancing_sampler(run: Run) -> DatasetInfo | None:
    return next((d for d in run.datasets if d.trained and (d.sampler_weight_ratio or 1) > _WEIGHTS), None)


def _present(run: Run, site: LossSite) -> Counts:
    """How often each class that occurs at all was a target."""
    totals = _totals(run, site)
    return totals[totals > 0]


def _totals(run: Run, site: LossSite) -> Counts:
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
    totals: Counts = np.zeros(width if width <= _CLASSES else 0, np.int64)
    for c in calls if len(totals) else []:
        totals[: len(c.label_counts or [])] += np.array(c.label_counts, np.int64)
    return totals
