"""P12 where the optimizer calls a closure: of which loss, and what the gradients are when the closure returns."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Finding
from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.recording.run import Run


def broken_closure(run: Run, optimizer: OptimizerInfo, few: int, always: float) -> Iterator[Finding]:
    """A loss that a closure does not compute, gradients that it carries on to its next evaluation or clears too late.

    Args:
        run: the run.
        optimizer: one that was given a closure.
        few: so many steps, or evaluations, show a habit.
        always: share of them in which it must be seen.
    """
    steps = [c for c in run.calls if c.kind == "step" and c.subject == optimizer.index and c.data.get("closure")]
    inside = [c for c in run.calls if c.kind == "backward" and optimizer.index in (c.data.get("in_step") or ())]
    later = [c for c in inside if optimizer.index in (c.data.get("again") or ())]
    carried = [c for c in later if optimizer.index in (c.data.get("carried") or ())]
    one_each = [
        c for c in steps if c.data.get("evaluations") and c.data["evaluations"] == c.data.get("backwards_inside")
    ]
    line = next((c.location for c in inside if c.location), None) or optimizer.step_location
    looked = [c for c in later if "repeated" in c.data]
    repeated = [c for c in looked if c.data["repeated"]]
    if len(looked) >= few and len(repeated) >= always * len(looked):
        yield Finding(
            f"The loss that the closure of {optimizer.type} differentiates is computed outside of it: in "
            f"{len(repeated)} of {len(looked)} evaluations backward went through the graph of the one before, so the "
            "optimizer gets the same loss and gradient wherever it goes.",
            location=line,
            evidence={"evaluations": len(looked), "repeated": len(repeated)},
            onset_step=repeated[0].step,
            fix="Call the model and compute the loss inside of the closure; then no retain_graph is needed.",
        )
        return
    if len(later) >= few and len(carried) >= always * len(later) and len(one_each) >= always * max(1, len(steps)):
        yield Finding(
            f"The closure of {optimizer.type} does not clear the gradients: {len(carried)} of {len(later)} evaluations "
            "added theirs to those of the evaluation before.",
            location=line,
            evidence={"evaluations": len(later), "carried": len(carried)},
            onset_step=carried[0].step,
            fix="Call optimizer.zero_grad() as the first line of the closure.",
            patch="zero-grad:closure",
        )
        return
    if len(steps) < 2:
        return
    wiped = [c for c in steps if c.data.get("last_inside") == "zero_grad" and c.data.get("backwards_inside")]
    if len(wiped) >= always * len(steps):
        yield Finding(
            f"The closure of {optimizer.type} clears the gradients after backward: the optimizer is given none.",
            location=_cleared_at(run, optimizer) or line,
            evidence={"steps": len(steps), "without_gradient": len(wiped)},
            fix="Clear the gradients before loss.backward(), as the first line of the closure.",
            patch="zero-grad:closure",
        )


def _cleared_at(run: Run, optimizer: OptimizerInfo) -> Location | None:
    """The line of a zero_grad that threw away gradients."""
    lines: list[Call] = [
        c for c in run.calls
        if c.kind == "zero_grad" and c.data.get("pending") and optimizer.index in c.data.get("optimizers", ())
    ]  # fmt: skip
    return lines[-1].location if lines else None
