"""L13: one term of the loss moves the shared weights, and another one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.loss._outweighed import Outweighed, outweighed
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median

_OF_DATA: Final = {
    "cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits", "mse_loss", "l1_loss",
    "smooth_l1_loss", "huber_loss", "gaussian_nll_loss", "poisson_nll_loss", "multi_margin_loss",
    "multilabel_margin_loss", "multilabel_soft_margin_loss", "soft_margin_loss", "hinge_embedding_loss", "ctc_loss",
}  # fmt: skip
"""Losses that compare a prediction with a target; those of two predictions (kl_div …) may be meant to be small."""


def has_several_terms(run: Run) -> bool:
    """A backward of the script had two terms that compare predictions with targets of the data."""
    of_data = _sites(run)
    counts: dict[int, int] = {}
    for term in run.loss_terms:
        counts[term.backward] = counts.get(term.backward, 0) + (term.site in of_data and not term.penalty)
    return max(counts.values(), default=0) > 1


def _sites(run: Run) -> set[int]:
    predicted = {c.site for c in run.training_calls() if c.target_requires_grad}
    return {s.index for s in run.loss_sites if s.function in _OF_DATA and s.index not in predicted}


@check(
    "L13",
    "loss-terms-unbalanced",
    severity="warn",
    evidence="H",
    needs=("loss_terms", "loss_calls", "Probe"),
    fix="Give the terms gradients of like size: reduce them alike, scale the targets, or weigh the small term more.",
)
class LossTermsUnbalanced(Check):
    """A term of the loss pulls on the weights that it shares with the others many times less than they do.

    ## What it checks
    A loss that is the mean over all values of an example (the squared error of an image), in a sum with a term that is
    not divided by their number (a divergence that is summed over the latent variables, a penalty on activations):
    reported if the term has the weight of eight values or more in all of the first steps, and the predictions at the
    end of the watch (logits as probabilities, scores of classes as those of each class) are as good as the same for all
    examples. A trial multiplies the term by one over the number of
    values: the error of the predictions, which then begins to fall, is the proof.

    As advice, between losses of several tasks: in a trial, at every twentieth step, the gradient of each term by
    itself, with its weight, on the parameters that several terms reach. A term that compares a prediction with a target
    of the data has less than a hundredth of the sum of the norms in three looks or more of five, and its value stays
    above a tenth of that of the first look. Values of the terms are never compared with each other.
    ## Why it matters
    The shared layers learn one task only. The other one is left to its own head. In a variational autoencoder the
    latent variables then tell nothing (posterior collapse), and the decoder answers with the mean of the data.
    ## How to fix
    Sum over the values of an example, average over examples, in all terms alike. For several tasks: standardize the
    targets of the large term, or raise the weight of the small one until both gradients are alike.
    ## Source
    Article, section 2; Kingma and Welling 2014 (both parts of the bound are sums over an example); Higgins et al. 2017,
    beta-VAE (the weight of the divergence grows with the number of values); Chen et al. 2018, GradNorm (norms of the
    terms' gradients); catalogue L13; limits ours.
    ## Known false alarms
    A divergence whose weight a schedule raises is left out, and so is one with a weight of its own that makes up for
    the mean. A training that is so slow that its predictions are still the same for all examples is told apart by the
    trial only. Terms that are meant to be small. Those with a weight below 0.01 in the code are left out, and so are
    penalties, divergences between predictions, and the losses of GANs and of reinforcement learning.
    """

    values = Param(8, "of an example: with fewer, mean and sum differ by less than what users weigh by hand")
    ratio = Param(8, "beta-VAEs use 1 to 10 (Higgins et al. 2017), and their own loss is a sum")
    spread = Param(0.25, "of the targets' spread: predictions explain less than 6 % of the variance")
    share = Param(0.01, "of the sum of the norms; catalogue L13")
    looks = Param(5, "twentieth steps that were looked at")
    most = Param(3, "of five looks: one batch may have no example of a task")
    floor = Param(0.1, "of the value at the first look: a term below that was learned all the same")
    weight = Param(0.01, "a smaller factor in the code is meant to be small; catalogue L13")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the terms belong to players, or to a policy and its critic")
        found = outweighed(run, self.values.value, self.ratio.value)
        if found is not None and found.spread < self.spread.value:
            yield self._outweighed(found)
            return
        if not has_several_terms(run):
            raise NotApplicable("no loss with two terms that compare predictions with targets")
        looks = [look["terms"] for look in run.probe("terms").result["looks"]]
        looks = [look for look in looks if [t["line"] for t in look] == [t["line"] for t in looks[0]]]
        if len(looks) < self.looks.value:
            raise NotEnoughEvidence(f"the gradients of the terms were compared in {len(looks)} steps only")
        terms = {(t.location.line, Path(t.location.file).name): t for t in run.loss_terms if t.location is not None}
        of_data = _sites(run)
        for i, seen in enumerate(looks[0]):
            term = terms.get((seen["line"], Path(seen["file"]).name))
            if term is None or term.site not in of_data or self._is_meant_to_be_small(term):
                continue
            if self._neglected([look[i] for look in looks]):
                yield self._finding(run, looks, i, term)
                return

    @staticmethod
    def _outweighed(found: Outweighed) -> Finding:
        site, at, per = found.loss, found.term.location or found.term.backward_location, found.values
        where = f"the term in line {at.line}" if at is not None else "another term"
        factor = 1 / max(per, found.ratio)
        patch = f"term:{found.number}@{Path(at.file).name}:{at.line} x{factor:.3g}" if at is not None else ""
        return Finding(
            f"{site.function} is the mean over the {per} values of an example and {where} is not divided by their "
            f"number: it weighs as much as {found.ratio:.3g} values, and in step {found.step} predictions differ "
            f"between examples by {found.spread:.0%} of what the targets do.",
            location=site.location,
            evidence={
                "ratio": found.ratio,
                "values": per,
                "spread": found.spread,
                "other_line": at.line if at is not None else 0,
                "other_code": at.code if at is not None else "",
            },
            fix=f"Sum {site.function} over the {per} values of an example and average over examples, as in "
            f'reduction="sum" and a division by the size of the batch; or multiply {where} by {factor:.2g}.',
            patch=patch,
        )

    def _is_meant_to_be_small(self, term: LossTerm) -> bool:
        return term.penalty or (term.coefficient is not None and abs(term.coefficient) < self.weight.value)

    def _neglected(self, looks: list[dict[str, Any]]) -> bool:
        values = [look["value"] for look in looks if look["value"] is not None]
        few = sum(look["share"] < self.share.value for look in looks)
        if len(values) < self.looks.value or not np.isfinite(values).all() or few * 5 < self.most.value * len(looks):
            return False
        return bool(np.mean(values[-2:]) > self.floor.value * values[0] > 0)

    def _finding(self, run: Run, looks: list[list[dict[str, Any]]], i: int, term: LossTerm) -> Finding:
        shares = np.array([median(s) for s in zip(*([t["share"] for t in look] for look in looks))])
        largest = int(np.argmax(shares))
        other = looks[0][largest]
        values = [look[i]["value"] for look in looks]
        site = next(s for s in run.loss_sites if s.index == term.site)
        return Finding(
            f"{site.function} in line {looks[0][i]['line']} makes {shares[i]:.2g} of the gradients on the shared "
            f"weights, the term in line {other['line']} {shares[largest]:.0%} (median of {len(looks)} steps), and "
            f"its value goes from {values[0]:.3g} to {values[-1]:.3g}.",
            severity="info",  # one task may be meant to lead
            location=term.location,
            evidence={"share": float(shares[i]), "largest": float(shares[largest]), "values": values},
        )
