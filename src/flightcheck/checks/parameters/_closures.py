"""P12 where the optimizer calls a closure: of which loss, and what the gradients are when the closure returns."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from flightcheck.checks.base import Finding
from flightcheck.recording.provenance.hand_updates import names_gradients
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
    parts = [s for s, within in _with_calls(run, optimizer, steps) if _last_part_only(s, within, always)]
    cleared = _cleared_at(run, optimizer)
    by_hand = cleared is not None and names_gradients(cleared.file)  # each kept, and put together
    if len(parts) >= few and len(parts) >= always * (len(steps) - 1) and not by_hand:
        each = parts[-1].data["backwards_inside"] / parts[-1].data["evaluations"]
        yield Finding(
            f"The closure of {optimizer.type} clears the gradients before each of its {each:.0f} backward passes: in "
            f"{len(parts)} of {len(steps)} steps the optimizer was given the gradient of the last one alone.",
            location=cleared or line,
            evidence={"steps": len(steps), "backwards_per_evaluation": each},
            fix="Clear the gradients once, before the loop over the parts of the loss.",
            patch="zero-grad:evaluation",
        )
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


def _with_calls(run: Run, optimizer: OptimizerInfo, steps: list[Call]) -> Iterator[tuple[Call, list[str]]]:
    """Steps, each with what was called in it, in order: ``zero_grad`` and ``backward``."""
    index = optimizer.index
    zeros = [c for c in run.calls if c.kind == "zero_grad" and index in c.data.get("whole", ())]
    backwards = [c for c in run.calls if c.kind == "backward" and index in (c.data.get("in_step") or ())]
    within = sorted((*zeros, *backwards), key=lambda c: c.seq)
    for before, step in pairwise(sorted(steps, key=lambda c: c.seq)):
        yield step, [c.kind for c in within if before.seq < c.seq < step.seq]


def _last_part_only(step: Call, within: list[str], always: float) -> bool:
    """Each evaluation of the closure runs backward several times, and clears the gradients before each of them."""
    evaluations, backwards = step.data.get("evaluations") or 0, step.data.get("backwards_inside") or 0
    cleared = sum(pair == ("zero_grad", "backward") for pair in pairwise(within))
    return evaluations > 0 and backwards >= 2 * evaluations and cleared >= always * backwards


def _cleared_at(run: Run, optimizer: OptimizerInfo) -> Location | None:
    """The line of a zero_grad that threw away gradients."""
    lines: list[Call] = [
        c for c in run.calls
        if c.kind == "zero_grad" and c.data.get("pending") and optimizer.index in c.data.get("optimizers", ())
    ]  # fmt: skip
    return lines[-1].location if lines else None
