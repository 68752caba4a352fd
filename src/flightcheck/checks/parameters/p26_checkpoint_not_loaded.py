"""P26: a checkpoint that was read, and whose weights are not in the model."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._stand_ins import WITH_TRAINED_WEIGHTS, StandIn, stand_ins
from flightcheck.recording.run import Run
from flightcheck.recording.states import LostWeights, StateLoad


@check(
    "P26",
    "checkpoint-not-loaded",
    severity="error",
    evidence="X",
    needs=("StateLoad",),
    fix="Give the names in the checkpoint the model's prefix, and load with strict=True or assert on missing_keys.",
    patch="load:match",
)
class CheckpointNotLoaded(Check):
    """A checkpoint is loaded, and its weights are not in the model that is used.

    ## What it checks
    Every call of `load_state_dict`: weight matrices that are the same before it, after it and at the first step, while
    the state (or the file it was filtered from) holds tensors of just these shapes under another prefix (`module.`,
    `model.`, `_orig_mod.`); a state of which not a single name fits a whole model, or hardly one while its shapes are
    the model's, in their order.

    A model that is evaluated, was built after steps of another one of its class and shapes, and was given no state,
    while the trained one is not evaluated then.

    What became of the weights until the model is first called: drawn anew by an initialization that runs after the
    load; left in a model that is used no more, while another one of its class is built and trained; or written into
    the dictionary that `state_dict()` returned, which is never loaded.
    ## Why it matters
    With `strict=False`, or a filter for known names, PyTorch says nothing: a fine-tuning starts from random weights and
    ends far below what the checkpoint can do.
    ## How to fix
    `{k.removeprefix("module."): v for k, v in state.items()}`; look at the result's `missing_keys`. Initialize first,
    then load, into the model that is trained; a state that was changed has to be given to `load_state_dict`.
    ## Source
    moco-v3, MONAILabel and simple-HRNet issues on partly loaded weights; PyTorch, Saving and loading models.
    ## Known false alarms
    New heads and adapters have no counterpart in the state and are not counted; nor are weights that a later load or a
    copy by hand fills before the first step. A single renamed layer is not reported. Layers near the output that are
    drawn anew on purpose (a head, the last blocks) are not reported, nor is a model that was evaluated before its
    weights were drawn anew (the next fold, a run from scratch).
    """

    share = Param(0.01, "of the elements of the module's matrices: less than any layer that matters")

    few = Param(0.1, "of the names in the state fit: by chance, a `bias` or a `head.weight` does")
    near_input = Param(0.34, "of the matrices, in the model's order: new heads and last blocks begin later")
    anew = Param(0.5, "of what was loaded: less may be drawn anew by design")

    def __call__(self, run: Run) -> Iterator[Finding]:
        loads = [s for s in run.recorded(StateLoad) if s.matrices]
        lost = list(filter(None, map(self._lost, run.recorded(LostWeights))))
        lost += [self._never_loaded(s) for s in stand_ins(run) if s.made_late]
        yield from lost
        if not loads and lost:
            return
        if not loads:
            raise NotApplicable("no state was loaded into a module with weights")
        if not run.info.steps and not run.info.backwards:
            raise NotEnoughEvidence("no training step followed the load")
        for load in loads:
            if load.misnamed and load.misnamed_share >= self.share.value:
                yield self._misnamed(load)
            elif load.nested and 2 * load.unfilled > load.matrices:  # a head may be another one by now
                yield self._within(load)
            elif load.renamed and load.matched <= self.few.value * load.given and load.whole:
                yield self._renamed(load)
            elif self._nothing_fits(load) and not self._meant_for_another(load, loads):
                yield Finding(
                    f"None of the {load.given} names in the state fits {load.type}: all its {load.matrices} weight "
                    "matrices keep their random values.",
                    location=load.location,
                    evidence={"given": load.given, "matched": 0, "matrices": load.matrices},
                    onset_step=load.step,
                )

    @staticmethod
    def _never_loaded(stand_in: StandIn) -> Finding:
        root, first = stand_in.root, stand_in.evaluations[0]
        trained = f" (built in line {stand_in.trained.location.line})" if stand_in.trained.location else ""
        return Finding(
            f"The {root.type} that is evaluated was built after the training, and nothing was loaded into it: it has "
            f"random weights, not those of the {stand_in.trained.type} that was trained{trained}.",
            location=root.location,
            evidence={"kind": "never-loaded", "built_at_step": root.constructed_at_step},
            onset_step=first.step,
            fix="model.load_state_dict(state) before model.eval(), or evaluate the model that was trained.",
            patch=WITH_TRAINED_WEIGHTS,
        )

    @staticmethod
    def _nothing_fits(load: StateLoad) -> bool:
        return load.whole and load.given > 1 and not load.matched and load.unfilled == load.matrices

    @staticmethod
    def _meant_for_another(load: StateLoad, loads: list[StateLoad]) -> bool:
        """The same line loads several modules, and fits one of them."""
        return any(o.matched for o in loads if o.location == load.location)

    @staticmethod
    def _within(load: StateLoad) -> Finding:
        return Finding(
            f"All {load.matrices} weight matrices of {load.type} keep their random values: what is loaded is the whole "
            f"checkpoint, and the weights are its entry {load.nested!r}.",
            location=load.location,
            evidence={"given": load.given, "matched": load.matched, "nested": load.nested},
            onset_step=load.step,
            fix=f"Load the entry: load_state_dict(checkpoint[{load.nested!r}]), with strict=True.",
        )

    @staticmethod
    def _renamed(load: StateLoad) -> Finding:
        return Finding(
            f"{load.renamed} of {load.matrices} weight matrices of {load.type} keep their random values: only "
            f"{load.matched} of the {load.given} names in the state fit, although its matrices have just their shapes.",
            location=load.location,
            evidence={"given": load.given, "matched": load.matched, "renamed": load.renamed},
            onset_step=load.step,
            fix="Give each tensor of the state the name that the model has for it, and load with strict=True.",
        )

    def _lost(self, lost: LostWeights) -> Finding | None:
        where = f" in line {lost.lost_location.line}" if lost.lost_location else ""
        evidence = {"kind": lost.kind, "matrices": lost.matrices, "lost": lost.lost, "share": lost.share}
        if lost.kind == "overwritten":
            early = lost.first < max(1.0, self.near_input.value * lost.matrices)
            if lost.lost < 2 or not early or lost.share < self.anew.value:
                return None
            load = f" in line {lost.location.line}" if lost.location else ""
            return Finding(
                f"{lost.lost} of the {lost.matrices} weight matrices of {lost.type} ({lost.share:.0%} of its weights) "
                f"that were loaded{load} are filled with random numbers{where}, before the model is first used.",
                location=lost.lost_location or lost.location,
                evidence=evidence,
                onset_step=lost.step,
                fix="Initialize the model first, and load the weights after it.",
                patch="load:late",
            )
        if lost.kind == "left-behind":
            return Finding(
                f"The {lost.type} that is loaded here is never used: another {lost.type}, built{where}, is used, "
                "and begins with random weights.",
                location=lost.location,
                evidence=evidence,
                onset_step=lost.step,
                fix="Load the state into the model that is trained, or build that around the one that was loaded.",
                patch="load:late",
            )
        call = f"{lost.type}.state_dict()" + (f" in line {lost.location.line}" if lost.location else "")
        return Finding(
            f"This changes the dictionary that {call} returned, and not the model: nothing loads it, and the "
            f"{lost.matrices} weight matrices keep their values.",
            location=lost.lost_location or lost.location,
            evidence=evidence,
            onset_step=lost.step,
            fix="Give the changed dictionary to load_state_dict.",
            patch="load:late",
        )

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
