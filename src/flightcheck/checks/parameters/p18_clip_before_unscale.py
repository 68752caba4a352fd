"""P18: clipping gradients that still carry the loss scale."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Call, Location
from flightcheck.recording.run import Run


@check(
    "P18",
    "clip-before-unscale",
    severity="error",
    evidence="X",
    needs=("calls",),
    fix="Call scaler.unscale_(optimizer) directly before clipping.",
    patch="unscale-first",
)
class ClipBeforeUnscale(Check):
    """Gradients are clipped while they still carry the factor of the gradient scaler.

    ## What it checks
    At each clipping call: gradients came from `scaler.scale(loss).backward()` and `scaler.unscale_()` was not called.
    ## Why it matters
    With the default scale the effective limit is 65536 times smaller than the one written: after unscaling, every
    gradient is nearly zero and training crawls.
    ## How to fix
    `scaler.unscale_(optimizer)`, then clip, then `scaler.step(optimizer)`.
    ## Source
    PyTorch automatic mixed precision examples, "Working with unscaled gradients".
    ## Known false alarms
    None known: a disabled scaler and a scale of 1 leave the gradients as they are and are not reported.
    """

    calls = Param(3, "each call is a fact; three show that it is the loop's order and not a special first step")
    share = Param(0.5, "of the calls at one line")

    def __call__(self, run: Run) -> Iterator[Finding]:
        clips = [c for c in run.calls if c.kind == "clip"]
        if not clips:
            raise NotApplicable("gradients are not clipped")
        scales = [s for c in run.calls if c.kind.startswith("scaler_") and (s := c.data.get("scale")) is not None]
        if not scales and not any(c.data.get("scaled") for c in clips):
            raise NotApplicable("no gradient scaler")
        if len(clips) < self.calls.value:
            raise NotEnoughEvidence(f"{len(clips)} of {self.calls.value:.0f} observed clipping calls")
        if scales and all(s == 1.0 for s in scales):
            return
        by_line: dict[Location | None, list[Call]] = defaultdict(list)
        for call in clips:
            by_line[call.location].append(call)
        for location, calls in by_line.items():
            scaled = [c for c in calls if c.data.get("scaled")]
            if len(scaled) < self.calls.value or len(scaled) < self.share.value * len(calls):
                continue
            limit, norm = scaled[-1].data.get("max_norm"), scaled[-1].data.get("norm")
            scale = scales[-1] if scales else None
            effective = f" With the scale {scale:.0f}" if scale else " With the scale still in them"
            yield Finding(
                f"Gradients were clipped before scaler.unscale_() in {len(scaled)} of {len(calls)} calls"
                + (f" (norm {norm:.3g})." if norm is not None else ".")
                + effective
                + (
                    f", the limit {limit:g} is in truth {limit / scale:.1e}."
                    if limit is not None and scale
                    else ", the limit means something else than it says."
                ),
                location=location,
                evidence={"calls": len(calls), "scaled": len(scaled), "scale": scale, "max_norm": limit},
                onset_step=scaled[0].step,
            )
