"""P25: an optimizer that forgets its moments."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import OptimizerInfo
from flightcheck.recording.run import Run


@check(
    "P25",
    "optimizer-state-lost",
    severity="warn",
    evidence="X",
    needs=("optimizers", "parameters"),
    fix="Load the optimizer's state together with the model's, and never empty it during training.",
)
class OptimizerStateLost(Check):
    """Training is resumed without the state of its optimizer, or that state is emptied on the way.

    ## What it checks
    A file held a state that fits this optimizer (same number of parameters, same learning rate), all trained parameters
    were loaded, and the state was not given to it; or its state shrank between two steps, several times.
    ## Why it matters
    Adam without its second moments takes steps of full size in every direction: the loss jumps, and the first
    thousand steps repair the damage.
    ## How to fix
    `optimizer.load_state_dict(checkpoint["optimizer"])`, and the same for scheduler and scaler.
    ## Source
    PyTorch, Saving and loading a general checkpoint; catalogue P25.
    ## Known false alarms
    Fine-tuning starts with an empty optimizer on purpose: a new head, or another learning rate, tells the two apart.
    Optimizers without state (plain SGD) have nothing to lose. One reset (a new stage) is info.
    """

    drops = Param(3, "one loss of state may be a new stage of training, three are a habit of the loop")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stateful = [o for o in run.optimizers if self.stateful(o)]
        if not stateful:
            raise NotApplicable("no optimizer that keeps a state")
        stepping = [o for o in stateful if o.steps]
        if not stepping:
            raise NotEnoughEvidence("no optimizer stepped in the watched steps")
        for optimizer in stepping:
            if optimizer.state_drops:
                yield Finding(
                    f"The state of {optimizer.type} was emptied or cut {optimizer.state_drops} times in "
                    f"{optimizer.steps} steps: its moments start from zero each time.",
                    location=optimizer.step_location or optimizer.location,
                    evidence={"drops": optimizer.state_drops, "steps": optimizer.steps},
                    severity=None if optimizer.state_drops >= self.drops.value else "info",
                    fix="Do not clear or replace optimizer.state during training.",
                    patch="keep-state",
                )
            elif optimizer.state_read_location and not optimizer.state_loaded and self._resumed(run, optimizer):
                yield Finding(
                    f"A checkpoint with the state of {optimizer.type} was read and all its parameters were loaded, but "
                    "the optimizer starts with an empty state: a resumed run loses its moments and step count.",
                    location=optimizer.location,
                    evidence={"read_at": str(optimizer.state_read_location)},
                    fix=f"Load the state after this line: {optimizer.type.lower()}.load_state_dict(checkpoint[…]).",
                )

    def _resumed(self, run: Run, optimizer: OptimizerInfo) -> bool:
        """Every parameter that it trains came out of a file: a resumed run, not a new head on an old body."""
        mine = [p for p in run.parameters if optimizer.index in p.optimizers and p.requires_grad]
        return bool(mine) and all(p.loaded for p in mine)

    @staticmethod
    def stateful(optimizer: OptimizerInfo) -> bool:
        return optimizer.type not in {"SGD"} or any(g.get("momentum") for g in optimizer.groups)
