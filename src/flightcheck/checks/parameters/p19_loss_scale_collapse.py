"""P19: a gradient scaler that skips steps over and over."""

from __future__ import annotations

import math
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Call
from flightcheck.recording.run import Run


@check(
    "P19",
    "loss-scale-collapse",
    severity="error",
    evidence="X",
    needs=("calls",),
    fix="Find the operation that overflows in float16 and run it in float32, or use bfloat16 without a scaler.",
    patch="precision:float32",
)
class LossScaleCollapse(Check):
    """The gradient scaler skips steps again and again, and its scale falls towards nothing.

    ## What it checks
    The scale under 1; or a long row of skipped steps at the end; or, after the first 100 steps, far more skips than one
    in a hundred (binomial test).
    ## Why it matters
    Every skipped step is a batch that taught nothing. Gradients that overflow at any scale mean that the forward pass
    itself overflows, or that the loss is not finite.
    ## How to fix
    Find the first non-finite operation; compute it outside autocast; check the inputs; or use bfloat16.
    ## Source
    PyTorch GradScaler (65536, halved per overflow, doubled after 2000 good steps); Micikevicius et al. 2018.
    ## Known false alarms
    The first steps: from 65536 down to a scale that works the scaler may skip up to sixteen times.
    """

    scale = Param(1.0, "scaling down gradients is never what a scaler is for")
    row = Param(25, "consecutive skips: 16 halvings lead from 65536 to 1, larger first scales need some more")
    start = Param(100, "steps in which the scale may still be searched")
    expected = Param(0.01, "a generous rate of skips; a scaler that works needs one in 2000")
    share = Param(0.05, "of the steps after the start: more than this wastes data")
    alpha = Param(1e-6, "of the binomial test: no false alarm in a million runs")

    def __call__(self, run: Run) -> Iterator[Finding]:
        rounds = [c for c in run.calls if c.kind in {"scaler_step", "scaler_skip"}]
        updates = [c for c in run.calls if c.kind == "scaler_update" and c.data.get("scale") is not None]
        if not rounds and not updates:
            raise NotApplicable("no gradient scaler")
        if len(rounds) < 20:
            raise NotEnoughEvidence(f"{len(rounds)} of 20 observed steps of the gradient scaler")
        skips = [c.kind == "scaler_skip" for c in rounds]
        row = self._row(run, rounds)
        scales = [float(c.data["scale"]) for c in updates]
        small = len(scales) >= 3 and all(s < self.scale.value for s in scales[-3:]) and scales[0] > scales[-1]
        late = sum(c.kind == "scaler_skip" and c.step >= self.start.value for c in rounds)
        total = max(0, run.info.steps - int(self.start.value)) + late  # good steps are not all recorded, skips are
        often = total >= 20 and late > self.share.value * total and self._tail(total, late) < self.alpha.value
        if not (small and any(skips)) and row < self.row.value and not often:
            return
        bad = next((n for n in run.non_finite if n.location and n.where in {"activation", "loss"}), None)
        last = next(c for c in reversed(rounds) if c.kind == "scaler_skip")
        first = next(c for c in rounds if c.kind == "scaler_skip")
        yield Finding(
            f"The gradient scaler skipped {sum(skips)} of {len(skips)} steps"
            + (f", {row} in a row" if row > 1 else "")
            + (f"; its scale fell from {scales[0]:g} to {scales[-1]:g}" if scales and scales[-1] < scales[0] else "")
            + f". Gradients overflow at every scale{f': {bad.operation or bad.name} is not finite' if bad else ''}.",
            location=bad.location if bad else last.location,
            module=bad.module if bad else "",
            evidence={"skipped": sum(skips), "steps": len(skips), "row": row, "scale": scales[-1] if scales else None},
            onset_step=first.step,
        )

    @staticmethod
    def _row(run: Run, rounds: list[Call]) -> int:
        """The longest row of skips. A good step that was not recorded shows in the step number, which it moves on."""
        stepped = {o.index for o in run.optimizers if o.steps}
        longest = 0
        rows: dict[int, tuple[int, int]] = {}
        for call in rounds:
            length, before = rows.get(call.subject, (0, call.step))
            whole = call.step == before or call.subject not in stepped
            length = 0 if call.kind == "scaler_step" else length + 1 if whole else 1
            rows[call.subject] = length, call.step
            longest = max(longest, length)
        return longest

    def _tail(self, n: int, k: int) -> float:
        """P(X ≥ k) for X binomial with n trials at the expected rate."""
        p = self.expected.value
        return sum(math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))
