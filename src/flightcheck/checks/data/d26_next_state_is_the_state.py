"""D26: transitions whose next state is the state itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import Location
from flightcheck.recording.run import Run
from flightcheck.recording.stored_states import StoredTransitions

_MOST_LINES = 4


@check(
    "D26",
    "next-state-is-the-state",
    severity="error",
    evidence="X",
    needs=("StoredTransitions",),
    fix="Return a copy of the state from the environment (state.copy(), state.clone()), or store one.",
)
class NextStateIsTheState(Check):
    """In what a value network learns from, state and next state are the same numbers, though the agent sees others.

    ## What it checks
    In the first steps, losses whose target is a sum with a model's value of a next state, beside what the model is
    given whose output is compared with it. Row by row the two are the same numbers, where the target is more than the
    reward; while the single observations by which the agent acts differ from one to the next. And a line returns an
    array that its object, or the function itself, changes in place.
    ## Why it matters
    A list holds the array, and no copy of it. When the next step of the environment writes into the array, all
    transitions of the episode show its last state, and no action leads anywhere: there is nothing to be learnt.
    ## How to fix
    `return self.state.copy(), reward, done`. With tensors `.clone()`. Copying at the place that stores is as good.
    ## Source
    Mnih et al. 2015 (a transition holds the state before and after the action); Gymnasium, `check_env`: an
    observation that is handed out must not change with the next step.
    ## Known false alarms
    None known. Bandits with contexts have no next state: their targets are the reward alone, and are left out.
    Environments in which most actions change nothing show that when the agent acts, too. The same of environments
    with one state.
    """

    calls = Param(3, "of the loss, or more: one batch may be an odd one")
    rows = Param(64, "compared: fewer may be one short episode")
    equal = Param(0.95, "of the rows: the first state of an episode is often a new array")
    moved = Param(2, "batches of one state each, another one than that of the batch before: the memory holds one array")
    acting = Param(8, "observations, one after the other")
    still = Param(0.7, "of them at most are as the one before, as an agent that has learnt nothing runs into walls")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = run.recorded(StoredTransitions)
        if not found:
            raise NotApplicable("no target that holds the value of a next state was compared with a prediction")
        seen = [t for t in found if t.calls >= self.calls.value and t.rows >= self.rows.value]
        alike = [t for t in seen if t.equal >= self.equal.value * t.rows]
        if not seen:
            raise NotEnoughEvidence("too few transitions were seen in the first steps")
        held = [t for t in alike if t.single == t.calls and t.moved >= self.moved.value]
        if alike and not held and all(t.acting < self.acting.value for t in alike):
            raise NotEnoughEvidence("the agent did not act by a model while it was looked at")
        acting = [t for t in alike if t.acting >= self.acting.value and t.still <= self.still.value * t.acting]
        moving = held or acting
        if moving and not any(t.returned for t in moving):  # one context for a whole episode looks like this
            raise NotEnoughEvidence("next states are the states, and no line hands out an array that is changed later")
        for t in moving:
            if t.returned:
                yield self._finding(t)

    @staticmethod
    def _finding(t: StoredTransitions) -> Finding:
        lines = t.returned[:_MOST_LINES]
        proof = (
            f"while {t.acting - t.still} of {t.acting} observations by which the agent acts differ from the one before"
        )
        if t.single == t.calls:
            proof = "and all transitions of a batch hold one state, in each batch another"
        return Finding(
            f"State and next state are the same numbers in {t.equal} of {t.rows} transitions that the value is learnt "
            f"from, {proof}. {_places(lines)} an array that is changed in place later, and of which no copy is kept.",
            location=lines[0],
            evidence={
                "rows": t.rows,
                "equal": t.equal,
                "acting": t.acting,
                "still": t.still,
                "lines": [str(at) for at in lines],
            },
            onset_step=t.step,
            patch=" + ".join(f"source:handed-out:{PurePath(at.file).name}:{at.line}" for at in lines),
        )


def _places(lines: list[Location]) -> str:
    numbers = " and ".join(str(at.line) for at in lines)
    return f"Lines {numbers} return" if len(lines) > 1 else f"Line {numbers} returns"
