"""L11: means over different numbers of items are averaged as if the numbers were equal."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.frozen import frozen
from flightcheck.recording.loss_records import LossCall, LossTerm
from flightcheck.recording.run import Run
from flightcheck.recording.tables import median


@frozen
class _Parts:
    """The means that one optimizer step adds up, and how many items stand behind each."""

    items: list[int]
    several_backwards: bool

    @property
    def variation(self) -> float:
        return float(np.std(self.items) / np.mean(self.items))


@check(
    "L11",
    "mean-over-unequal-items",
    severity="warn",
    evidence="B",
    needs=("loss_terms", "loss_calls"),
    fix="Sum the losses of the parts and divide once by the number of all items of the step.",
)
class MeanOverUnequalItems(Check):
    """One step averages the means of parts that hold different numbers of items.

    ## What it checks
    Steps that add up several means of the same loss line (micro-batches of an accumulation, or sequences of a batch)
    with one and the same factor, while the numbers of targets that count, which differ because of padding or length,
    vary by more than a fifth.
    ## Why it matters
    A token in a short part weighs more than one in a long part: the gradient is not that of the whole batch, and
    changes with how the batch is cut.
    ## How to fix
    `reduction='sum'` per part, one division by the number of targets of all parts.
    ## Source
    huggingface/transformers#34191 (gradient accumulation, October 2024), pytorch/torchtune#1875.
    ## Known false alarms
    Weighting whole sequences equally can be meant: within one backward it is only information. Parts that differ in
    the number of examples (a last, smaller batch) are not flagged.
    """

    variation = Param(0.2, "standard deviation over mean of the item counts; weights then differ by half and more")
    parts = Param(2, "two means that are averaged are the least")
    steps = Param(2, "one step may hold the last, smaller part of an epoch")

    def __call__(self, run: Run) -> Iterator[Finding]:
        sites = [s for s in run.loss_sites if s.train_calls and s.settings.get("reduction", "mean") == "mean"]
        found = few = judged = False
        for site in sites:
            steps = self._steps(run, site.index)
            found |= bool(steps)
            if len(steps) < self.steps.value:
                few |= bool(steps)
                continue
            judged = True
            variation = median([s.variation for s in steps])
            if variation < self.variation.value:
                continue
            accumulated = all(s.several_backwards for s in steps)
            severity: Severity = "warn" if accumulated else "info"
            low, high = (int(f([f(s.items) for s in steps])) for f in (min, max))
            yield Finding(
                f"Each step adds up {len(steps[-1].items)} means of {site.function} with equal weight, but they are "
                f"means over {low} to {high} targets: a target in a short part weighs up to {high / low:.1f} times as "
                "much as one in a long part.",
                location=site.location,
                evidence={"items": steps[-1].items, "variation": variation, "accumulated": accumulated},
                onset_step=0,
                severity=severity,
            )
        if few and not judged:
            raise NotEnoughEvidence(f"several means were added up in fewer than {self.steps.value:.0f} steps")
        if not found:
            if any(t.site >= 0 for t in run.loss_terms):
                raise NotApplicable("no step adds up several means of the same loss")
            raise NotEnoughEvidence("no loss of the framework was found in a value handed to backward")

    def _steps(self, run: Run, site: int) -> list[_Parts]:
        """The observed steps that add up several means of this loss with equal factors."""
        terms: dict[int, list[LossTerm]] = {}
        calls: dict[int, list[LossCall]] = {}
        for t in run.loss_terms:
            if t.site == site:
                terms.setdefault(t.step, []).append(t)
        for c in run.training_calls():
            if c.site == site:
                calls.setdefault(c.step, []).append(c)
        return [p for s, here in terms.items() if (p := self._parts(here, calls.get(s, []))) is not None]

    def _parts(self, terms: Sequence[LossTerm], calls: Sequence[LossCall]) -> _Parts | None:
        factors = [t.coefficient for t in terms]
        if len(terms) < self.parts.value or len(terms) != len(calls) or None in factors:
            return None
        known = [f for f in factors if f is not None]
        if max(known) - min(known) > 1e-6 * abs(max(known)):
            return None
        if not self._of_items(calls):
            return None
        items = [math.prod(c.target_shape) - c.ignored for c in calls]
        if min(items) <= 0:
            return None
        return _Parts(items, len({t.backward for t in terms}) == len(terms))

    @staticmethod
    def _of_items(calls: Sequence[LossCall]) -> bool:
        """The numbers differ because of padding or of the length of sequences, not of the number of examples."""
        if any(c.ignored for c in calls):
            return True
        return all(len(c.target_shape) == 2 for c in calls) and len({c.target_shape[0] for c in calls}) == 1
