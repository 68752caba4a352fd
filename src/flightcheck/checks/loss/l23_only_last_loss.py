"""L23: a loop computes a loss in each round under one name, and backward gets the last one only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.dropped_losses import DroppedLoss
from flightcheck.recording.run import Run


@check(
    "L23",
    "only-last-loss",
    severity="error",
    evidence="X",
    needs=("DroppedLoss",),
    fix="Add the losses up (loss = loss + …, from 0 before the loop), or call backward inside the loop.",
)
class OnlyLastLoss(Check):
    """Of the losses that a loop computes under one name, only the last one is handed to `backward`.

    ## What it checks
    In the first rounds, every result of a loss function with a graph, and which of them the backward passes of the
    round reached. Reported where one line, an assignment to a name in a loop that does not use its old value, computed
    several losses of unlike targets in every round, and in each round only the last one was reached.
    ## Why it matters
    The other positions, heads or batches are computed and thrown away: the model is trained on the last one alone.
    ## How to fix
    `loss = 0` before the loop and `loss = loss + criterion(…)` in it; or `backward()` one level further in.
    ## Source
    pytorch.org, forum questions on sequences whose loss is computed step by step.
    ## Known false alarms
    Losses of the same target (a result that is refined step by step) are left out, and so are rounds in which
    `torch.autograd.grad` was called (inner loops of meta-learning).
    """

    rounds = Param(3, "rounds in which all losses but the last one were dropped, and none in which they were not")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.loss_sites:
            raise NotApplicable("no loss function of the framework was called in training")
        always = [f for f in run.recorded(DroppedLoss) if f.dropped == f.rounds]
        for found in always:
            if found.rounds >= self.rounds.value:
                yield self._finding(run, found)
        if always and max(f.rounds for f in always) < self.rounds.value:
            raise NotEnoughEvidence(f"{always[0].rounds} of {self.rounds.value:.0f} rounds")

    @staticmethod
    def _finding(run: Run, found: DroppedLoss) -> Finding:
        site = next((s for s in run.loss_sites if s.index == found.site), None)
        at = found.location
        return Finding(
            f"{site.function if site else 'The loss'} is computed {found.calls} times before each backward, each "
            f"time as a new '{found.name}': in all {found.rounds} rounds seen only the last one is trained on, "
            f"{found.calls - 1} are thrown away.",
            location=at,
            evidence={"calls": found.calls, "rounds": found.rounds, "name": found.name},
            onset_step=found.step,
            patch=f"loss:all:{PurePath(at.file).name}:{at.line}" if at is not None else "",
        )
