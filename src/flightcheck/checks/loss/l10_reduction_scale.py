"""L10: the loss adds up over the batch where it should average, or mixes sums with means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.loss_records import LossTerm
from flightcheck.recording.records import Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS
from flightcheck.recording.tables import median

SCALE_SENSITIVE: Final = ("SGD", "ASGD")
"""Optimizers whose step is proportional to the gradient; those of Adam's kind do not see a constant factor."""


@check(
    "L10",
    "reduction-scale",
    severity="warn",
    evidence="B",
    needs=("loss_terms", LOSS),
    fix="Average over the batch (reduction='mean', or divide the sum by the number of examples).",
    patch="loss:mean",
)
class ReductionScale(Check):
    """A sum over the batch stands where a mean was meant.

    ## What it checks
    The terms of the value handed to `backward`, with their constant factors. Reported: a term that is summed over the
    batch beside one that is averaged over it, without a weight that makes up for it; and a loss summed over the batch
    under plain SGD whose learning rate times the batch size is far above what a mean would stand, if the loss rises.
    ## Why it matters
    A sum makes the gradient as many times larger as there are examples in the batch: the learning rate is wrong by
    that factor, or one term drowns the other, and both change with the batch size.
    ## How to fix
    Average every term over the batch, or sum every one of them and divide the total by the batch size. Sums over the
    other dimensions (pixels, latents) are fine.
    ## Source
    TheDeepChecker's rule that a loss must not grow with the batch; the evidence lower bound, whose terms are summed
    over dimensions and averaged over examples.
    ## Known false alarms
    A deliberate weight of a term as large as the batch size.
    """

    batch = Param(4, "below four examples a sum and a mean hardly differ")
    unweighted = Param(0.25, "who knows of the sum writes a small weight before it; 1, 0.5 (the KL term) are no weight")
    effective_rate = Param(1.0, "learning rate of the equivalent mean loss; usual rates of SGD are 0.001 to 0.3")
    usual_rate = Param(0.5, "a larger rate would be wrong for a mean too: that is P01")
    steps = Param(5, "the loss must be seen at the start and later")

    def __call__(self, run: Run) -> Iterator[Finding]:
        terms = [t for t in run.loss_terms if not t.penalty]
        if not terms:
            raise NotApplicable("no loss whose terms are known")
        if run.in_regime("gan", "reinforcement"):
            raise NotApplicable("opponents, or returns summed over an episode")
        sizes = self._batch_sizes(run)
        backwards: dict[tuple[str, int], list[LossTerm]] = {}
        for t in terms:
            backwards.setdefault((str(t.backward_location), t.backward), []).append(t)
        lines: dict[str, list[list[LossTerm]]] = {}
        for (line, _), together in backwards.items():
            lines.setdefault(line, []).append(together)
        for here in lines.values():
            mixed = [m for summands in here if (m := self._mixed(run, summands, sizes))]
            if len(mixed) == len(here):
                yield mixed[0]
            elif finding := self._too_fast(run, here, sizes):
                yield finding

    @staticmethod
    def _batch_sizes(run: Run) -> dict[int, int]:
        """Examples per training step: of the model's input, or of the loss's."""
        sizes = {c.step: c.input_shape[0] for c in run.training_calls() if c.input_shape}
        return sizes | {b.step: b.shape[0] for b in run.batches if b.training and b.shape}

    def _reduction(self, run: Run, t: LossTerm, n: int) -> str:
        """``sum`` or ``mean`` over the batch; empty if neither is sure."""
        shape = t.summed or t.averaged
        if t.site >= 0 and not shape:
            site = next(s for s in run.loss_sites if s.index == t.site)
            call = next((c for c in run.loss_calls if c.site == t.site and c.input_shape[:1] == [n]), None)
            kind = str(site.settings.get("reduction", "mean")) if call else ""
        elif shape[:1] == [n] and (len(shape) > 1 or n >= self.batch.value**2):
            kind = "sum" if t.summed else "mean"
        else:
            return ""
        if kind == "mean" and not t.summed:
            return "mean"
        if kind != "sum" or t.coefficient is None:
            return ""
        return "sum" if abs(t.coefficient) >= self.unweighted.value else "mean"

    def _mixed(self, run: Run, terms: Sequence[LossTerm], sizes: dict[int, int]) -> Finding | None:
        n = sizes.get(terms[0].step, 0)
        if n < self.batch.value:
            return None
        sums = [t for t in terms if self._reduction(run, t, n) == "sum"]
        means = [t for t in terms if self._averaged(run, t, n)]
        if not sums or not means:
            return None
        s, m = sums[0], means[0]
        return Finding(
            f"{self._name(run, s)} is summed over the {n} examples of the batch, {self._name(run, m)} is averaged over "
            f"them: the first weighs {n} times more than written, and more in a larger batch.",
            location=self._line(run, s),
            evidence={"batch_size": n, "summed": s.summed, "coefficient": s.coefficient, "mean_line": str(m.location)},
            onset_step=0,
            fix="Average both over the batch: sum over the other dimensions, then .mean().",
        )

    def _averaged(self, run: Run, t: LossTerm, n: int) -> bool:
        """A mean over the batch that enters the total with a weight of its own order."""
        usual = t.coefficient is not None and t.coefficient * max(1, t.numel if t.averaged else 1) <= 10
        return self._reduction(run, t, n) == "mean" and usual and not t.summed

    def _too_fast(self, run: Run, backwards: Sequence[Sequence[LossTerm]], sizes: dict[int, int]) -> Finding | None:
        terms = [t for here in backwards for t in here]
        n = int(median([sizes.get(t.step, 0) for t in terms]))
        stepping = [o for o in run.optimizers if o.steps]
        plain = stepping and all(o.type in SCALE_SENSITIVE for o in stepping)
        clipped = any(c.kind == "clip" for c in run.calls)
        if n < self.batch.value or not plain or clipped:
            return None
        if not all(self._reduction(run, t, sizes.get(t.step, 0)) == "sum" for t in terms):
            return None
        rate = max(float(g.get("lr") or 0.0) for o in stepping for g in o.groups)
        effective = rate * n * max(abs(t.coefficient or 0.0) for t in terms) / (1 - self._momentum(stepping))
        if rate > self.usual_rate.value or effective < self.effective_rate.value or not self._fails(run):
            return None
        t = terms[0]
        return Finding(
            f"{self._name(run, t)} is summed over the {n} examples of the batch: the learning rate {rate:g} acts like "
            f"{rate * n:g} on a mean, and the loss does not fall.",
            location=self._line(run, t),
            evidence={"batch_size": n, "lr": rate, "lr_on_the_mean": rate * n},
            onset_step=0,
            fix=f"Average over the batch, or divide the learning rate by {n}.",
        )

    @staticmethod
    def _momentum(optimizers: Sequence[OptimizerInfo]) -> float:
        return min(0.99, max(float(g.get("momentum") or 0.0) for o in optimizers for g in o.groups))

    def _fails(self, run: Run) -> bool:
        """The loss became infinite, or is not lower in the end than at the start."""
        series = run.series(LOSS)
        if len(series) < self.steps.value:
            raise NotEnoughEvidence(f"{len(series)} of {self.steps.value:.0f} losses")
        if not np.isfinite(series.values).all():
            return True
        last = series.values[-max(3, len(series) // 3) :]
        return median(last) >= 0.95 * float(series.values[0])

    @staticmethod
    def _line(run: Run, t: LossTerm) -> Location | None:
        site = next((s for s in run.loss_sites if s.index == t.site), None)
        return (site.location if site else None) or t.location or t.backward_location

    @staticmethod
    def _name(run: Run, t: LossTerm) -> str:
        site = next((s for s in run.loss_sites if s.index == t.site), None)
        return site.function if site else f"the term of line {t.location.line if t.location else '?'}"
