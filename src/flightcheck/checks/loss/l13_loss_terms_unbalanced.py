"""L13: one term of the loss moves the shared weights, and another one does not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.run import Run

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
    needs=("Probe", "loss_terms"),
    fix="Give the terms gradients of like size: scale the targets, or weigh the small term more.",
    preview=True,
)
class LossTermsUnbalanced(Check):
    """A term of the loss pulls on the weights that it shares with the others a hundred times less than they do.

    ## What it checks
    In a trial, at every twentieth step: the gradient of each term by itself, with its weight, on the parameters that
    several terms reach. A term that compares a prediction with a target of the data has less than a hundredth of the
    sum of the norms in three looks or more of five, and its value stays above a tenth of that of the first look.
    Values of the terms are never compared with each other.
    ## Why it matters
    The shared layers learn one task only. The other one is left to its own head.
    ## How to fix
    Standardize the targets of the large term, or raise the weight of the small one until both gradients are alike.
    ## Source
    Article, section 2; Chen et al. 2018, GradNorm (norms of the terms' gradients); catalogue L13; limits ours.
    ## Known false alarms
    Terms that are meant to be small. Those with a weight below 0.01 in the code are left out, and so are penalties,
    divergences between predictions, and the losses of GANs and of reinforcement learning.
    """

    share = Param(0.01, "of the sum of the norms; catalogue L13")
    looks = Param(5, "twentieth steps that were looked at")
    most = Param(3, "of five looks: one batch may have no example of a task")
    floor = Param(0.1, "of the value at the first look: a term below that was learned all the same")
    weight = Param(0.01, "a smaller factor in the code is meant to be small; catalogue L13")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("the terms belong to players, or to a policy and its critic")
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

    def _is_meant_to_be_small(self, term: LossTerm) -> bool:
        return term.penalty or (term.coefficient is not None and abs(term.coefficient) < self.weight.value)

    def _neglected(self, looks: list[dict[str, Any]]) -> bool:
        values = [look["value"] for look in looks if look["value"] is not None]
        few = sum(look["share"] < self.share.value for look in looks)
        if len(values) < self.looks.value or not np.isfinite(values).all() or few * 5 < self.most.value * len(looks):
            return False
        return bool(np.mean(values[-2:]) > self.floor.value * values[0] > 0)

    def _finding(self, run: Run, looks: list[list[dict[str, Any]]], i: int, term: LossTerm) -> Finding:
        shares = np.median([[t["share"] for t in look] for look in looks], axis=0)
        largest = int(np.argmax(shares))
        other = looks[0][largest]
        values = [look[i]["value"] for look in looks]
        site = next(s for s in run.loss_sites if s.index == term.site)
        return Finding(
            f"{site.function} in line {looks[0][i]['line']} makes {shares[i]:.2g} of the gradients on the shared "
            f"weights, the term in line {other['line']} {shares[largest]:.0%} (median of {len(looks)} steps), and "
            f"its value goes from {values[0]:.3g} to {values[-1]:.3g}.",
            location=term.location,
            evidence={"share": float(shares[i]), "largest": float(shares[largest]), "values": values},
        )
