"""P26: a checkpoint that was read, and whose weights are not in the model."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.run import Run
from flightcheck.recording.states import StateLoad


@check(
    "P26",
    "checkpoint-not-loaded",
    severity="error",
    evidence="X",
    needs=("state_loads",),
    fix="Give the names in the checkpoint the model's prefix, and load with strict=True or assert on missing_keys.",
    patch="load:match",
)
class CheckpointNotLoaded(Check):
    """A checkpoint is loaded, but its names do not fit the model's: the weights stay at their random start.

    ## What it checks
    Every call of `load_state_dict`: weight matrices that are the same before it, after it and at the first step, while
    the state (or the file it was filtered from) holds tensors of just these shapes under another prefix (`module.`,
    `model.`, `_orig_mod.`); or a state of which not a single name fits a whole model.
    ## Why it matters
    With `strict=False`, or a filter for known names, PyTorch says nothing: a fine-tuning starts from random weights and
    ends far below what the checkpoint can do.
    ## How to fix
    `{k.removeprefix("module."): v for k, v in state.items()}`; look at the result's `missing_keys`.
    ## Source
    moco-v3, MONAILabel and simple-HRNet issues on partly loaded weights; PyTorch, Saving and loading models.
    ## Known false alarms
    New heads and adapters have no counterpart in the state and are not counted; nor are weights that a later load or a
    copy by hand fills before the first step. A single renamed layer is not reported.
    """

    share = Param(0.01, "of the elements of the module's matrices: less than any layer that matters")

    def __call__(self, run: Run) -> Iterator[Finding]:
        loads = [s for s in run.state_loads if s.matrices]
        if not loads:
            raise NotApplicable("no state was loaded into a module with weights")
        if not run.info.steps and not run.info.backwards:
            raise NotEnoughEvidence("no training step followed the load")
        for load in loads:
            if load.misnamed and load.misnamed_share >= self.share.value:
                yield self._misnamed(load)
            elif self._nothing_fits(load) and not self._meant_for_another(load, loads):
                yield Finding(
                    f"None of the {load.given} names in the state fits {load.type}: all its {load.matrices} weight "
                    "matrices keep their random values.",
                    location=load.location,
                    evidence={"given": load.given, "matched": 0, "matrices": load.matrices},
                    onset_step=load.step,
                )

    @staticmethod
    def _nothing_fits(load: StateLoad) -> bool:
        return load.whole and load.given > 1 and not load.matched and load.unfilled == load.matrices

    @staticmethod
    def _meant_for_another(load: StateLoad, loads: list[StateLoad]) -> bool:
        """The same line loads several modules, and fits one of them."""
        return any(o.matched for o in loads if o.location == load.location)

    @staticmethod
    def _misnamed(load: StateLoad) -> Finding:
        file = f", read in line {load.from_file.line}" if load.from_file else ""
        theirs, ours = load.source_prefix, load.module_prefix
        rename = (
            f'{{k.removeprefix("{theirs}"): v for k, v in state.items()}}'
            if theirs and not ours
            else f'{{"{ours}" + k.removeprefix("{theirs}"): v for k, v in state.items()}}'
        )
        wanted = ours + load.example.removeprefix(theirs)
        return Finding(
            f"{load.misnamed} of {load.matrices} weight matrices of {load.type} ({load.misnamed_share:.0%} of its "
            f"weights) keep their random values: the checkpoint{file} has them under other names "
            f"('{load.example}' instead of '{wanted}').",
            location=load.location,
            evidence={
                "misnamed": load.misnamed,
                "matrices": load.matrices,
                "share": load.misnamed_share,
                "source_prefix": theirs,
                "module_prefix": ours,
            },
            onset_step=load.step,
            fix=f"Rename before loading: {rename}; and load with strict=True.",
        )
