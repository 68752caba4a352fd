"""L15: weight decay or a penalty is stronger than the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, GRAD_NORM_TOTAL, LEARNING_RATE, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.tables import Series, median

DECOUPLED: Final = ("AdamW", "SGDW", "Lion")
NORMALIZATIONS: Final = ("norm", "batchnorm")


@check(
    "L15",
    "regularization-dominates",
    severity="warn",
    evidence="H",
    needs=(GRAD_NORM, WEIGHT_NORM),
    fix="Divide the weight decay (or the weight of the penalty) by 10 or more.",
    patch="regularization:weight_decay",
)
class RegularizationDominates(Check):
    """Weight decay or a weight penalty pulls harder on the weights than the data does, from the first steps on.

    ## What it checks
    Per weight matrix, the pull of the decay (λ‖w‖; for decoupled decay its part of the step) against the gradient of
    the loss; for penalties in the loss a lower bound of their gradient against that of the total. Reported if the pull
    is several times stronger for most matrices in the first steps, and the weights do shrink.
    ## Why it matters
    The weights go to zero before the model has learned anything.
    ## How to fix
    λ/10 until the data wins; no decay on biases and normalization.
    ## Source
    CS231n: the regularization must not overwhelm the data; TheDeepChecker.
    ## Known false alarms
    Late in a training decay and gradient balance each other: only the first steps count. Matrices before a
    normalization are left out, where only their direction matters, and so are weights that were loaded.
    """

    ratio = Param(3.0, "healthy starts have 0.01 to 0.3, a decay ten times too strong about 2 (pilot)")
    share = Param(0.5, "of the matrices: one layer with a small gradient is not the training")
    shrunk = Param(0.7, "weights that keep more than this are held by the data, or not yet harmed")
    first = Param(20, "measured steps that count as the start")
    looks = Param(4, "steps that make a median of the start")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if any(r.loaded for r in run.roots):
            raise NotApplicable("loaded weights: their gradients are small from the start")
        matrices = self._matrices(run)
        if not matrices:
            raise NotApplicable("no trained weight matrix outside of normalized layers")
        decays = [o for o in run.optimizers if o.steps and any(g.get("weight_decay") for g in o.groups)]
        penalties = any(t.penalty for t in run.loss_terms)
        if not decays and not penalties:
            return
        if not self._shrink(run, matrices):
            return
        for optimizer in decays:
            if (found := self._decay(run, optimizer, matrices)) is not None:
                yield found
                return
        if penalties and (found := self._penalty(run)) is not None:
            yield found

    @staticmethod
    def _matrices(run: Run) -> list[ParameterInfo]:
        """Trained weight matrices whose output is not normalized right away."""
        called = sorted((m for m in run.modules if m.leaf and m.order >= 0), key=lambda m: (m.root, m.order))
        normalized = {a.index for a, b in pairwise(called) if b.kind in NORMALIZATIONS}
        return [p for p in run.parameters if p.role == "matrix" and run.trained(p) and p.module not in normalized]

    def _shrink(self, run: Run, matrices: Sequence[ParameterInfo]) -> bool:
        """Most of the matrices lost much of their norm while they were watched."""
        table = run.table(WEIGHT_NORM, int(self.looks.value))
        columns = [c for p in matrices if len(c := table.column(p.index)) >= self.looks.value and c.values[0] > 0]
        if not columns:
            raise NotEnoughEvidence(f"fewer than {self.looks.value:.0f} measured weights")
        lost = [float(c.values[-1]) < self.shrunk.value * float(c.values[0]) for c in columns]
        return float(np.mean(lost)) > self.share.value

    def _decay(self, run: Run, optimizer: OptimizerInfo, matrices: Sequence[ParameterInfo]) -> Finding | None:
        strength = _decay_of(optimizer)
        mine = [p for p in matrices if strength.get(p.index)]
        ratios = [r for p in mine if (r := self._ratio(run, optimizer, p, strength[p.index])) is not None]
        held = [p for p in matrices if optimizer.index in p.optimizers]
        strong = sum(r > self.ratio.value for r in ratios)
        if not ratios or strong <= self.share.value * len(held):
            return None
        decay, middle = max(strength.values()), median(ratios)
        return Finding(
            f"The weight decay {decay:g} pulls {middle:.3g} times as hard on the weights as the loss does, in "
            f"{strong} of {len(held)} matrices over the first steps, and the weights shrink.",
            location=optimizer.decay_location or optimizer.location,
            evidence={"weight_decay": decay, "ratio": middle, "limit": self.ratio.value, "matrices": strong},
            onset_step=0,
            fix=f"Try weight_decay={decay / max(10.0, 10 ** np.ceil(np.log10(10 * middle))):.1g}.",
            parameters=tuple(p.index for p in mine),
        )

    def _ratio(self, run: Run, optimizer: OptimizerInfo, p: ParameterInfo, decay: float) -> float | None:
        """Median over the first steps of the decay's pull divided by that of the loss."""
        weights = _by_step(run.table(WEIGHT_NORM).column(p.index))
        if optimizer.type in DECOUPLED or any(g.get("decoupled_weight_decay") for g in optimizer.groups):
            rates = _by_step(run.table(LEARNING_RATE).column(optimizer.index))
            moves = _by_step(run.table(UPDATE_NORM).column(p.index))
            pulls = {s: (rates[s] * decay * w, moves[s]) for s, w in weights.items() if s in rates and s in moves}
            looks = [d / max(1e-12, m * m - d * d) ** 0.5 if m > d else np.inf for d, m in pulls.values()]
        else:
            gradients = _by_step(run.table(GRAD_NORM).column(p.index))
            looks = [decay * w / g for s, w in weights.items() if (g := gradients.get(s, 0.0)) > 0]
        looks = looks[: int(self.first.value)]
        return median(looks) if len(looks) >= self.looks.value else None

    def _penalty(self, run: Run) -> Finding | None:
        """A penalty P of degree k has ⟨∇P, w⟩ = kP, so its gradient is at least kP/‖w‖."""
        totals = _by_step(run.series(GRAD_NORM_TOTAL))
        table = run.table(WEIGHT_NORM)
        norms = {int(s): float(np.sqrt(np.nansum(v[v > 0] ** 2))) for s, v in zip(table.steps, table.values)}
        shares, strongest = [], None
        for step, total in list(totals.items())[: int(self.first.value)]:
            terms = [t for t in run.loss_terms if t.step == step and t.penalty and t.amount is not None]
            if not terms or not norms.get(step) or not total:
                continue
            pull = sum((2 if t.operation.startswith("Pow") else 1) * (t.amount or 0.0) for t in terms) / norms[step]
            shares.append(pull / total)
            strongest = max(terms, key=lambda t: t.amount or 0.0)
        if len(shares) < self.looks.value or strongest is None or median(shares) < 1 - 1 / self.ratio.value:
            return None
        return Finding(
            f"The weight penalty (weight {strongest.coefficient:.3g}) makes at least {median(shares):.0%} of "
            "the gradient in the first steps, and the weights shrink.",
            location=strongest.weight_location or strongest.location or strongest.backward_location,
            evidence={"coefficient": strongest.coefficient, "share": median(shares)},
            onset_step=0,
            fix="Divide the weight of the penalty by 10 or more.",
        )


def _decay_of(optimizer: OptimizerInfo) -> dict[int, float]:
    """Parameter → weight decay of its group."""
    found: dict[int, float] = {}
    start = 0
    for group in optimizer.groups:
        count = int(group.get("parameters", 0))
        found |= dict.fromkeys(optimizer.parameters[start : start + count], float(group.get("weight_decay") or 0.0))
        start += count
    return found


def _by_step(series: Series) -> dict[int, float]:
    return {int(s): float(v) for s, v in zip(series.steps, series.values) if np.isfinite(v)}
