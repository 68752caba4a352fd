"""C11: the steps are far too small or far too large for the weights."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import Floats, before_trouble, improvement, most_common
from flightcheck.recording.records import Location, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import GRAD_NORM, LEARNING_RATE, UPDATE_NORM, WEIGHT_NORM
from flightcheck.recording.tables import Table, median


@check(
    "C11",
    "update-ratio-out-of-range",
    severity="warn",
    evidence="H",
    needs=(UPDATE_NORM, WEIGHT_NORM),
    fix="Change the learning rate until the median update is about 1/1000 of the weights.",
)
class UpdateRatioOutOfRange(Check):
    """‖ΔW‖/‖W‖ of the matrices is below 1e-6 without learning, or above 0.3 long after the start.

    ## What it checks
    The real change of each matrix in a step, relative to its norm, median over the last 20 measured steps. Low: below
    1e-6 for most matrices while the loss does not fall, the learning rate is not decayed and the gradient did not
    vanish. High: above 0.3 after step 30 for at least a quarter of the matrices.
    ## Why it matters
    A symptom that points at the learning rate, the schedule, clipping or number formats.
    ## How to fix
    Aim at about 1e-3; see the root cause, which is a different check.
    ## Source
    CS231n; the wide band because healthy medians were 2e-3…1e-2, with 5e-2 at the 99th percentile.
    ## Known false alarms
    Biases, gains, scalars, embeddings and matrices that start at zero are left out.
    """

    low = Param(1e-6, "thousands of such steps do not change a weight by 1 %")
    high = Param(0.3, "healthy matrices stay below 5e-2; scale-invariant ones grow until they do")
    young = Param(30, "steps in which zero-initialized and freshly adapting matrices may still move fast")
    samples = Param(10, "a median over measured steps")
    quarter = Param(0.25, "one odd matrix is no sign of a wrong learning rate")
    improved = Param(0.02, "a loss that falls by 2 % is learning, however small the steps")
    elements = Param(16, "smaller matrices pass through zero")

    def __call__(self, run: Run) -> Iterator[Finding]:
        matrices = [
            p for p in run.parameters
            if p.role == "matrix" and run.trained(p) and not p.zero and p.numel >= self.elements.value
        ]  # fmt: skip
        if not matrices:
            raise NotApplicable("no trained weight matrix")
        updates, weights = run.table(UPDATE_NORM), run.table(WEIGHT_NORM)
        limit = before_trouble(run, updates)
        last = int(updates.steps[limit - 1]) if limit else -1
        ratios = {p.index: self._ratios(updates, weights, last, p.index) for p in matrices}
        late = {i: values for i, values in ratios.items() if len(values) >= self.samples.value}
        if not late:
            raise NotEnoughEvidence(f"updates of no matrix were measured in {self.samples.value:.0f} steps")
        medians = {i: median(values[:, 1]) for i, values in late.items()}
        slow = [p for p in matrices if p.index in medians and 0.0 < medians[p.index] < self.low.value]
        old = {i: v[v[:, 0] >= self.young.value, 1] for i, v in late.items()}
        fast = [
            p for p in matrices
            if len(old.get(p.index, ())) >= self.samples.value and median(old[p.index]) > self.high.value
        ]  # fmt: skip
        if len(slow) > len(medians) / 2 and not run.in_regime("finetune") and self._unexplained(run, slow):
            yield self._finding(run, slow, medians, "below", self.low.value)
        if fast and len(fast) >= self.quarter.value * len(medians):
            yield self._finding(run, fast, medians, "above", self.high.value)

    def _ratios(self, updates: Table, weights: Table, last: int, parameter: int) -> Floats:
        """Rows of (step, ‖ΔW‖/‖W‖) for the last 20 measured steps up to `last`."""
        u, w = updates.column(parameter), weights.column(parameter)
        steps, of_u, of_w = np.intersect1d(u.steps, w.steps, return_indices=True)
        update, weight = u.values[of_u], w.values[of_w]
        usable = np.isfinite(update) & np.isfinite(weight) & (weight > 0) & (steps <= last)
        return np.column_stack([steps[usable], update[usable] / weight[usable]])[-20:]

    def _unexplained(self, run: Run, slow: list[ParameterInfo]) -> bool:
        """No decayed learning rate, no gradient that vanished by convergence, and no falling loss explains it."""
        rates = run.table(LEARNING_RATE)
        holders = {o for p in slow for o in p.optimizers}
        for o in holders:
            values = rates.column(o).values
            if len(values) and values[-1] < 0.1 * np.nanmax(values):
                return False
        gradients = run.table(GRAD_NORM)
        for p in slow:
            values = gradients.column(p.index).values
            values = values[np.isfinite(values)]
            if len(values) >= 6 and median(values[-5:]) < 0.01 * median(values[:5]):
                return False
        return improvement(run) < self.improved.value

    def _finding(
        self, run: Run, chosen: list[ParameterInfo], medians: dict[int, float], side: str, limit: float
    ) -> Finding:
        typical = median([medians[p.index] for p in chosen])
        return Finding(
            f"{len(chosen)} of {len(medians)} matrices change by {typical:.1g} of their norm a step, {side} the limit "
            f"of {limit:g}; about 1e-3 is usual.",
            location=_rate_line(run, chosen),
            evidence={"median": typical, "side": "low" if side == "below" else "high", "matrices": len(chosen)},
            onset_step=0 if side == "below" else int(self.young.value),
            parameters=tuple(p.index for p in chosen),
        )


def _rate_line(run: Run, chosen: list[ParameterInfo]) -> Location | None:
    holders = {o for p in chosen for o in p.optimizers}
    return most_common(o.lr_location or o.location for o in run.optimizers if o.index in holders)
