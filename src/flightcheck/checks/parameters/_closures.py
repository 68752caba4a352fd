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
    closure = _Closure(run, optimizer, few, always)
    found = closure.of_a_loss_outside() or closure.never_cleared() or closure.cleared_between() or closure.wiped()
    if found is not None:
        yield found


class _Closure:
    """The steps of an optimizer, and the backward passes in its closure."""

    def __init__(self, run: Run, optimizer: OptimizerInfo, few: int, always: float) -> None:
        self.run, self.optimizer, self.few, self.always = run, optimizer, few, always
        index = optimizer.index
        self.steps = [c for c in run.calls if c.kind == "step" and c.subject == index and c.data.get("closure")]
        inside = [c for c in run.calls if c.kind == "backward" and index in (c.data.get("in_step") or ())]
        self.later = [c for c in inside if index in (c.data.get("again") or ())]
        self.line = next((c.location for c in inside if c.location), None) or optimizer.step_location

    def of_a_loss_outside(self) -> Finding | None:
        """The loss is computed outside of the closure."""
        looked = [c for c in self.later if "repeated" in c.data]
        repeated = [c for c in looked if c.data["repeated"]]
        if len(looked) < self.few or len(repeated) < self.always * len(looked):
            return None
        return Finding(
            f"The loss that the closure of {self.optimizer.type} differentiates is computed outside of it: in "
            f"{len(repeated)} of {len(looked)} evaluations backward went through the graph of the one before, so the "
            "optimizer gets the same loss and gradient wherever it goes.",
            location=self.line,
            evidence={"evaluations": len(looked), "repeated": len(repeated)},
            onset_step=repeated[0].step,
            fix="Call the model and compute the loss inside of the closure; then no retain_graph is needed.",
        )

    def never_cleared(self) -> Finding | None:
        """Gradients are carried on to the next evaluation of the closure."""
        steps, later = self.steps, self.later
        carried = [c for c in later if self.optimizer.index in (c.data.get("carried") or ())]
        one_each = [
            c for c in steps if c.data.get("evaluations") and c.data["evaluations"] == c.data.get("backwards_inside")
        ]
        seldom = len(carried) < self.always * len(later) or len(one_each) < self.always * max(1, len(steps))
        if len(later) < self.few or seldom:
            return None
        return Finding(
            f"The closure of {self.optimizer.type} does not clear the gradients: {len(carried)} of {len(later)} "
            "evaluations added theirs to those of the evaluation before.",
            location=self.line,
            evidence={"evaluations": len(later), "carried": len(carried)},
            onset_step=carried[0].step,
            fix="Call optimizer.zero_grad() as the first line of the closure.",
            patch="zero-grad:closure",
        )

    def cleared_between(self) -> Finding | None:
        """Gradients are cleared before each of several backward passes of an evaluation."""
        if len(self.steps) < 2:
            return None
        within = _with_calls(self.run, self.optimizer, self.steps)
        parts = [s for s, calls in within if _last_part_only(s, calls, self.always)]
        cleared = _cleared_at(self.run, self.optimizer)
        by_hand = cleared is not None and names_gradients(cleared.file)  # each kept, and put together
        if len(parts) < self.few or len(parts) < self.always * (len(self.steps) - 1) or by_hand:
            return None
        each = parts[-1].data["backwards_inside"] / parts[-1].data["evaluations"]
        return Finding(
            f"The closure of {self.optimizer.type} clears the gradients before each of its {each:.0f} backward passes: "
            f"in {len(parts)} of {len(self.steps)} steps the optimizer was given the gradient of the last one alone.",
            location=cleared or self.line,
            evidence={"steps": len(self.steps), "backwards_per_evaluation": each},
            fix="Clear the gradients once, before the loop over the parts of the loss.",
            patch="zero-grad:evaluation",
        )

    def wiped(self) -> Finding | None:
        """Gradients are cleared after backward, before the closure returns."""
        if len(self.steps) < 2:
            return None
        wiped = [c for c in self.steps if c.data.get("last_inside") == "zero_grad" and c.data.get("backwards_inside")]
        if len(wiped) < self.always * len(self.steps):
            return None
        return Finding(
            f"The closure of {self.optimizer.type} clears the gradients after backward: the optimizer is given none.",
            location=_cleared_at(self.run, self.optimizer) or self.line,
            evidence={"steps": len(self.steps), "without_gradient": len(wiped)},
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
