"""P12 where gradients of earlier rounds are still there at the step: never cleared, too rarely, or only in part."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise

from flightcheck.checks.base import Finding
from flightcheck.checks.depth import most_common, where
from flightcheck.recording.kept_gradients import KeptGradients
from flightcheck.recording.records import Call, Location, OptimizerInfo
from flightcheck.recording.run import Run
from flightcheck.recording.surroundings import UncalledMethod

_ROW = 20
_REGULAR = 0.8
"""Of the distances between two rounds that clear: the last round of an epoch may come early."""


def not_cleared(
    run: Run, optimizer: OptimizerInfo, steps: Sequence[Call], *, few: int, always: float, rare: float
) -> Iterator[Finding]:
    """Steps whose gradients hold those of rounds that were used before.

    Args:
        run: the run.
        optimizer: the one that made the steps.
        steps: its steps that were recorded, in their order.
        few: so many steps show a habit.
        always: share of the steps that are "nearly all".
        rare: share of the steps in a row that used old gradients, where clearing has a rhythm of its own.
    """
    # The first step has nothing to clear. A step without a backward pass of its own (autograd.grad) is no witness.
    later = [c for c in steps[1:] if c.data.get("backwards", 0) >= 1 and (c.data.get("gradients") or 0) > 0]
    # Steps that were looked at now and then may all be the second one of a round: those in a row tell.
    later = row if len(row := _in_a_row(later)) >= _ROW else later
    stale = [c for c in later if c.data.get("fresh") is False]
    if len(later) >= few - 1 and len(stale) >= always * len(later):
        yield _never(run, optimizer, later, stale, few)
    elif (period := _period(later, few, rare)) is not None:
        line = _clearing_line(run, optimizer)
        yield Finding(
            f"The gradients of {optimizer.type} are cleared only in every {_ordinal(period)} round"
            + (f", in {where(line)}" if line else "")
            + f", and it steps in each: {len(stale)} of {len(later)} steps used gradients again that earlier steps had "
            "used.",
            location=line or optimizer.step_location or _backward_line(run, optimizer),
            evidence={"steps": len(later), "stale": len(stale), "period": period},
            onset_step=stale[0].step,
            fix="Clear them in each round; or, to accumulate, call step() only where they are cleared, and divide the "
            f"loss by {period}.",
            patch="zero-grad",
        )


def _never(run: Run, optimizer: OptimizerInfo, later: list[Call], stale: list[Call], few: int) -> Finding:
    cleared = len(later) - len(stale)
    named = next((u.location for u in run.recorded(UncalledMethod) if u.name == "zero_grad"), None)
    part = _part_line(run, optimizer, few)
    twice = _twice_line(run, optimizer, few)
    rare = _clearing_line(run, optimizer) if not (named or part or twice) else None
    beside = _beside_line(run, optimizer, few) if not (named or part or twice or rare) else None
    if part:
        what = f"are cleared only in part ({where(part)} does not reach all that it holds)"
    else:
        what = "were " + ("never cleared" if not cleared else f"cleared in only {cleared} of {len(later)} rounds")
        what += f", in {where(rare)}" if rare else ""
    return Finding(
        f"The gradients of {optimizer.type} {what}: {len(stale)} of {len(later)} steps used the sum of all gradients "
        "of the rounds before.",
        location=named or part or twice or rare or beside or _backward_line(run, optimizer),
        evidence={"steps": len(later), "stale": len(stale), "part": part is not None},
        onset_step=stale[0].step,
        fix="Call zero_grad: without its parentheses the statement does nothing."
        if named
        else "Call optimizer.zero_grad(), which clears all that the optimizer holds, before loss.backward()."
        if part
        else f"This line clears another optimizer's gradients a second time: call zero_grad of {optimizer.type} here."
        if twice
        else "Move this line into the loop over the batches: in every round, before loss.backward()."
        if rare
        else f"Clear the gradients of this {optimizer.type} beside those of the other optimizer, in every round."
        if beside
        else "Call optimizer.zero_grad() before loss.backward(), in every round.",
        patch="zero-grad",
    )


def _in_a_row(later: list[Call]) -> list[Call]:
    """The steps from the first one to the last of which none is missing."""
    gaps = (i for i, (before, call) in enumerate(pairwise(later), 1) if call.step != before.step + 1)
    return later[: next(gaps, len(later))]


def _period(later: list[Call], few: int, rare: float) -> int | None:
    """Every how many steps the gradients are cleared, where that is a rhythm and most steps use old gradients."""
    row = _in_a_row(later)
    fresh = [i for i, c in enumerate(row) if c.data.get("fresh")]
    gaps = [b - a for a, b in pairwise(fresh)]
    if (
        len(gaps) < few
        or len({c.location for c in row}) > 1
        or sum(c.data.get("fresh") is False for c in row) < rare * len(row)
    ):
        return None
    period = sorted(gaps)[(len(gaps) - 1) // 2]
    return period if period > 1 and gaps.count(period) >= _REGULAR * len(gaps) else None


def _ordinal(n: int) -> str:
    return {2: "second", 3: "third"}.get(n, f"{n}th")


def _clearing_line(run: Run, optimizer: OptimizerInfo) -> Location | None:
    """The line that clears the gradients of an optimizer in some rounds, or did so once before the first."""
    return most_common(c.location for c in run.calls if _clears(c, optimizer))


def _part_line(run: Run, optimizer: OptimizerInfo, few: int) -> Location | None:
    """The line at which a module clears its own gradients, which are only some of what the optimizer holds."""
    calls = [c for c in run.calls if _clears(c, optimizer)]
    parts = [c for c in calls if optimizer.index not in c.data.get("whole", c.data["optimizers"])]
    return most_common(c.location for c in parts) if len(parts) >= few and len(parts) == len(calls) else None


def _twice_line(run: Run, optimizer: OptimizerInfo, few: int) -> Location | None:
    """The second of two lines that clear one and the same other optimizer, with no backward between them."""
    seen: dict[int, Location | None] = {}
    again: Counter[Location | None] = Counter()
    for call in run.calls:
        if call.kind in ("backward", "step"):
            seen.clear()
        elif call.kind == "zero_grad":
            owner = call.data.get("optimizer", -1)
            first = seen.setdefault(owner, call.location)
            again[call.location] += owner not in (-1, optimizer.index) and first != call.location
    line, count = again.most_common(1)[0] if again else (None, 0)
    return line if count >= few else None


def _beside_line(run: Run, optimizer: OptimizerInfo, few: int) -> Location | None:
    """Where another optimizer is cleared that the same backward passes reach: there the missing call belongs."""
    shared = {
        other
        for c in run.calls
        if c.kind == "backward" and optimizer.index in (c.data.get("optimizers") or ())
        for other in c.data["optimizers"]
    } - {optimizer.index}
    lines = [c.location for c in run.calls if c.kind == "zero_grad" and c.data.get("optimizer", -1) in shared]
    return most_common(lines) if len(lines) >= few else None


def _clears(call: Call, optimizer: OptimizerInfo) -> bool:
    return call.kind == "zero_grad" and call.location is not None and optimizer.index in call.data.get("optimizers", ())


def _backward_line(run: Run, optimizer: OptimizerInfo) -> Location | None:
    mine = [c for c in run.calls if c.kind == "backward" and optimizer.index in (c.data.get("optimizers") or ())]
    return most_common(c.location for c in mine) or run.plan.backward_location


def kept_by_hand(run: Run, few: int, always: float) -> Iterator[Finding]:
    """Updates by hand whose gradients are still there when the next backward adds its own.

    Args:
        run: the run.
        few: so many rounds show a habit.
        always: share of the rounds that is "nearly all".
    """
    for updates in run.recorded(KeptGradients):
        rounds = updates.carried + updates.cleared
        if updates.carried >= few and updates.carried >= always * rounds:
            yield Finding(
                f"The weights are updated by hand, and their gradients are never cleared: to those of "
                f"{updates.carried} of {rounds} updates the next backward added its own.",
                location=run.plan.backward_location,
                evidence={"rounds": rounds, "carried": updates.carried},
                fix="After each update set w.grad = None, or call w.grad.zero_(), for each of them.",
                patch="zero-grad:by-hand",
            )


def taken_away(
    run: Run, optimizer: OptimizerInfo, steps: Sequence[Call], wiped: Sequence[Call], *, few: int, always: float
) -> Iterator[Finding]:
    """Parameters that a loss gives gradients in each round, cleared before the backward of another loss and the step.

    Args:
        run: the run.
        optimizer: the one that made the steps.
        steps: its steps that were recorded.
        wiped: the calls that threw away gradients which no step had used.
        few: so many steps show a habit.
        always: share of the steps that is "nearly all".
    """
    held = [p for p in run.parameters if optimizer.index in p.optimizers and p.in_graph]
    gone = [p for p in held if p.gradient_checks >= few and not p.gradients_seen]
    fed = [p for p in held if p.gradients_nonzero]
    if not gone or not fed or len(wiped) < always * len(steps):
        return
    modules = sorted({m.path for p in gone if (m := run.module(p.module))})
    line = most_common(c.location for c in wiped)
    yield Finding(
        f"{len(gone)} parameters of {', '.join(modules[:3]) or 'the model'} get gradients from a backward in each "
        f"round, and have none in any of {gone[0].gradient_checks} steps: zero_grad() runs between "
        "that backward and the next one.",
        location=line or optimizer.step_location,
        module=modules[0] if len(modules) == 1 else "",
        evidence={"parameters": len(gone), "cleared": len(wiped), "steps": len(steps)},
        parameters=tuple(p.index for p in gone),
        fix="Clear the gradients once per round, before the first backward; or add the losses and call backward once.",
        patch="zero-grad",
    )
