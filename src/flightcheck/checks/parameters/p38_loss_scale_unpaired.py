"""P38: gradients that are unscaled and were never scaled, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.depth import most_common
from flightcheck.recording.records import Call, OptimizerInfo
from flightcheck.recording.run import Run


@check(
    "P38",
    "loss-scale-unpaired",
    severity="error",
    evidence="X",
    needs=("calls",),
    fix="scaler.scale(loss).backward(), scaler.step(optimizer), scaler.update(): all three, in every round.",
)
class LossScaleUnpaired(Check):
    """Gradients are divided by a loss scale that multiplied no loss, or keep the scale that did.

    ## What it checks
    At each step: whether a loss that `scaler.scale` returned is in the graph of its backward passes, and whether the
    step is one of `scaler.step` (which unscales), or `scaler.unscale_` was called before it.
    ## Why it matters
    With the default scale the gradients are 65536 times too small, or too large. Plain SGD stands still or explodes;
    Adam hides it, but for epsilon, weight decay and clipping.
    ## How to fix
    `scaler.scale(loss).backward()`, `scaler.step(optimizer)`, `scaler.update()`; with bfloat16 no scaler is needed.
    ## Source
    PyTorch, automatic mixed precision examples. The criterion is an identity of ours.
    ## Known false alarms
    None known: a disabled scaler, a scale of 1, and scripts that read the scale (to divide by it on their own) are not
    reported.
    """

    steps = Param(5, "each step is a fact; five show that it is the loop's order and not a special first step")
    share = Param(0.9, "of the steps that were looked at: the first one may be another optimizer's")

    def __call__(self, run: Run) -> Iterator[Finding]:
        scaled = [c for c in run.calls if c.kind in ("scaler_step", "scaler_skip", "scaler_update")]
        bare = [c for c in run.calls if c.kind == "step" and c.data.get("scaled")]
        if not scaled and not bare:
            raise NotApplicable("no gradient scaler")
        watched = False
        for optimizer in run.optimizers:
            through = [c for c in scaled if c.kind == "scaler_step" and c.subject == optimizer.index]
            told = [c for c in through if "loss_scaled" in c.data]
            steps = [c for c in run.calls if c.kind == "step" and c.subject == optimizer.index and "scaled" in c.data]
            mine = [c for c in bare if c.subject == optimizer.index]
            watched = watched or max(len(told), len(steps)) >= self.steps.value
            unscaled = [c for c in told if not c.data["loss_scaled"] and c.data.get("scale") != 1.0]
            if len(unscaled) >= max(self.steps.value, self.share.value * len(told)):
                yield self._never_scaled(run, optimizer, unscaled)
            elif len(mine) >= max(self.steps.value, self.share.value * len(steps)):
                yield self._never_unscaled(optimizer, mine)
        if not watched:
            raise NotEnoughEvidence(f"fewer than {self.steps.value:.0f} steps were seen closely")

    @staticmethod
    def _never_scaled(run: Run, optimizer: OptimizerInfo, calls: list[Call]) -> Finding:
        scale = float(calls[0].data["scale"])
        mine = [c for c in run.calls if c.kind == "backward" and optimizer.index in (c.data.get("optimizers") or ())]
        return Finding(
            f"scaler.step divides the gradients of {optimizer.type} by the scale ({scale:g}), but in {len(calls)} "
            "steps the loss had not been multiplied by it: each gradient is so many times too small.",
            location=most_common(c.location for c in mine) or run.plan.backward_location,
            evidence={"steps": len(calls), "scale": scale},
            onset_step=calls[0].step,
            parameters=tuple(sorted(set(optimizer.parameters))),
            patch=f"accumulate:x{scale:g}",
            fix="scaler.scale(loss).backward()",
        )

    @staticmethod
    def _never_unscaled(optimizer: OptimizerInfo, calls: list[Call]) -> Finding:
        scale = float(calls[0].data.get("scale") or 1.0)
        return Finding(
            f"The loss is multiplied by the scale of the gradient scaler ({scale:g}), but {optimizer.type}.step() is "
            f"called directly in {len(calls)} steps, and nobody divides the gradients by it: each is so many times too "
            "large.",
            location=most_common(c.location for c in calls) or optimizer.step_location,
            evidence={"steps": len(calls), "scale": scale},
            onset_step=calls[0].step,
            parameters=tuple(sorted(set(optimizer.parameters))),
            patch=f"accumulate:x{1 / scale:.9g}",
            fix="scaler.step(optimizer) in the place of optimizer.step(), then scaler.update().",
        )
