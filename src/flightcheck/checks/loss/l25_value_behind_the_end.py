"""L25: the target of a value function counts what would come after the end of an episode."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.episode_ends import UnendedTarget
from flightcheck.recording.run import Run


@check(
    "L25",
    "value-behind-the-end",
    severity="error",
    evidence="T",
    needs=("UnendedTarget",),
    fix="Multiply the value of the next state by (1 - done): nothing comes after the end of an episode.",
)
class ValueBehindTheEnd(Check):
    """A target adds the discounted value of the next state in all rows, also where the episode has ended.

    ## What it checks
    In the first steps, targets of a loss that are a number plus a discounted output of a model, and whether a mask, a
    choice of rows or any other tensor acted on that output. Beside it, vectors of zeros and ones that were fetched in
    the same round, one for each row, and are in no part of the target. One of them tells ends if the states after it
    lie outside of the range of all others, each in some feature: a pole that fell is steeper than any that stands.
    ## Why it matters
    The state after the end has no value, but the network is asked for one and gives what it gives its neighbours: to
    fall costs nothing, and the agent does not learn to avoid it.
    ## How to fix
    `target = reward + gamma * (1 - done) * next_value`, with `done` as numbers; or `next_value[done] = 0` before.
    ## Source
    Sutton and Barto, Reinforcement Learning, section 3.4; Mnih et al. 2015, algorithm 1 (targets of terminal states).
    ## Known false alarms
    None known. An episode that is cut off at a time limit goes on as far as its value is concerned: such flags have
    nothing to do with the state, and are not told. Nor are ends that look like other states (cells of a grid).
    """

    calls = Param(3, "of the loss, all without a mask")
    ends = Param(3, "different ones: fewer could be unusual states that were cut off")
    chance = Param(1e-6, "that a flag without a meaning parts states so; some tens of vectors are looked at")

    def __call__(self, run: Run) -> Iterator[Finding]:
        found = [t for t in run.recorded(UnendedTarget) if not t.masked]
        if not run.recorded(UnendedTarget):
            raise NotApplicable("no target that holds a discounted value of a model was seen")
        sure = [t for t in found if t.calls >= self.calls.value and t.ends >= self.ends.value]
        told = [t for t in sure if t.chance < self.chance.value]
        if found and not told:
            raise NotEnoughEvidence("no flag that was fetched tells where an episode ended")
        for target in told:
            yield self._finding(run, target)

    @staticmethod
    def _finding(run: Run, t: UnendedTarget) -> Finding:
        site = next((s for s in run.loss_sites if s.index == t.site), None)
        at = f" (line {t.flag_location.line})" if t.flag_location is not None else ""
        return Finding(
            f"The target of {site.function if site else 'the loss'} holds the discounted value of the next state in "
            f"every row ({t.calls} calls), also where the episode is over: a flag of {t.rows} fetched rows{at} tells "
            f"{t.ends} different ends, and is in no part of the target.",
            location=t.location,
            evidence={
                "calls": t.calls,
                "rows": t.rows,
                "ends": t.ends,
                "chance": t.chance,
                "flag": str(t.flag_location),
            },
            onset_step=t.step,
            patch=_patch(t),
        )


def _patch(t: UnendedTarget) -> str:
    if t.location is None or t.flag_location is None:
        return ""
    places = (f"{PurePath(at.file).name}:{at.line}" for at in (t.location, t.flag_location))
    return f"episode-end:{','.join(places)},{t.flag_place},{t.end_value}"
