"""P12 where an optimizer steps and no backward was called, or one goes again through graphs of earlier rounds."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Finding
from flightcheck.checks.depth import most_common
from flightcheck.recording.records import Call, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import UncalledMethod


def without_backward(run: Run, optimizer: OptimizerInfo, steps: list[Call], few: int) -> Iterator[Finding]:
    """Steps of an optimizer that has no gradient, in a training in which nothing is differentiated.

    Args:
        run: the run.
        optimizer: the one that made the steps.
        steps: its steps that were recorded.
        few: so many show a habit.
    """
    differentiated = run.info.backwards or any(c.kind in ("backward", "autograd_grad") for c in run.calls)
    known = [c for c in steps if c.data.get("gradients") is not None]
    empty = [c for c in known if c.data["gradients"] == 0]
    if differentiated or run.in_regime("second-order") or len(empty) < max(few, len(known)):
        return
    named = next((u.location for u in run.recorded(UncalledMethod) if u.name == "backward"), None)
    line = named or most_common(c.location for c in steps) or optimizer.step_location
    yield Finding(
        f"{optimizer.type} stepped {optimizer.steps} times and backward() was never called: no parameter has a "
        "gradient, so nothing learns.",
        location=line,
        evidence={"steps": len(steps), "backwards": 0},
        parameters=tuple(sorted(set(optimizer.parameters))),
        fix="Call backward: without its parentheses the statement does nothing."
        if named
        else "Call loss.backward() before this line, in every round.",
    )


def through_old_graphs(run: Run, few: int, always: float) -> Iterator[Finding]:
    """Backward on a sum that holds the losses of rounds whose steps are long made.

    Args:
        run: the run.
        few: so many backward passes show a habit.
        always: share of those at one line that is "nearly all", the first one of each pass left out.
    """
    backwards = [c for c in run.calls if c.kind == "backward" and c.location is not None and "old_graphs" in c.data]
    old = [c for c in backwards if c.data["old_graphs"]]
    line = most_common(c.location for c in old)
    here = [c for c in backwards if c.location == line]
    again = [c for c in old if c.location == line]
    if line is None or len(again) < few or len(again) < always * len(here):
        return
    yield Finding(
        f"In {len(again)} of {len(here)} calls backward went again through the graphs of losses of earlier rounds, "
        "for which the optimizer had already stepped: their gradients are added once more in each round.",
        location=line,
        evidence={"backwards": len(here), "again": len(again)},
        onset_step=again[0].step,
        fix="Call backward() on the loss of this batch alone; add up loss.item() for what is printed. Then no "
        "retain_graph is needed.",
        patch="old-graphs:off",
    )
