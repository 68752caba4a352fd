"""P10: an optimizer that holds the parameters of yesterday's model."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.parameters._replaced import replaced_in
from flightcheck.recording.provenance.factories import is_handed_out
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM


@check(
    "P10",
    "stale-parameter-reference",
    severity="error",
    evidence="X",
    needs=("parameters", "optimizers", "roots"),
    fix="Build the optimizer last: after every layer is in its place, after deepcopy, wrapping and loading.",
    patch="add-parameters",
)
class StaleParameterReference(Check):
    """The optimizer holds tensors that no called model has, and a called model has parameters no optimizer holds.

    ## What it checks
    Both differences of two sets: parameters in a stepping optimizer that belong to no called model and never get a
    gradient (or that the model no longer holds: its head was replaced while the training went on), and parameters of
    called models that the loss reaches and no optimizer holds.
    ## Why it matters
    The optimizer steps over tensors nobody uses. The model, or the replaced layer, never changes, and no error is
    raised.
    ## How to fix
    Replace layers, copy, wrap, prune and inject adapters first; then construct the optimizer from the final model.
    ## Source
    TrainCheck ("flat loss", huggingface/accelerate issue 2665): optimizer built before the model was wrapped.
    ## Known false alarms
    Master copies of the weights and flattened parameters get gradients, and the model follows them: both are seen
    (non-zero gradients of the held tensors, moving weights of the model) and not reported. A layer that was replaced
    while training goes on, and whose successor an optimizer gets in the next steps, is none.
    """

    checks = Param(3, "a tensor without gradient in a few steps is unused, in one step perhaps just not drawn")
    rounds = Param(5, "steps after a layer was replaced: its successor may be added to the optimizer a little later")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = [o for o in run.optimizers if o.steps]
        if not run.optimizers:
            raise NotApplicable("no optimizer")
        if not stepping:
            raise NotEnoughEvidence("no optimizer stepped in the watched steps")
        if not any(p.module >= 0 for p in run.parameters):
            raise NotEnoughEvidence("no parameter of a called model was recorded")
        missing = [p for p in run.parameters if self._unheld(run, p)]
        for optimizer in stepping:
            replaced, late = replaced_in(run, optimizer, missing)
            if late:
                if run.info.steps - max(p.joined for p in late) < self.rounds.value:
                    raise NotEnoughEvidence("the training ended soon after a layer was replaced")
                yield self._finding(run, optimizer, replaced, late)
                return
            orphans = [
                p for p in run.parameters if p.module < 0 and p.requires_grad and optimizer.index in p.optimizers
            ]
            if not orphans or not missing:
                continue
            if any(p.in_graph or p.gradients_nonzero for p in orphans):
                continue
            if max(p.gradient_checks for p in orphans) < self.checks.value:
                raise NotEnoughEvidence("the gradients of the optimizer's parameters were not looked at often enough")
            yield self._finding(run, optimizer, orphans, missing)
            return

    def _unheld(self, run: Run, p: ParameterInfo) -> bool:
        if p.module < 0 or not p.requires_grad or not p.in_graph or p.optimizers or p.updates_nonzero:
            return False
        try:
            norms = run.table(WEIGHT_NORM, 2).column(p.index).values
        except NotEnoughEvidence:
            return True
        norms = norms[np.isfinite(norms)]
        return len(norms) < 2 or float(np.ptp(norms)) <= 1e-6 * float(np.abs(norms).max())

    def _finding(
        self, run: Run, optimizer: OptimizerInfo, orphans: list[ParameterInfo], missing: list[ParameterInfo]
    ) -> Finding:
        modules = [m for p in missing if (m := run.module(p.module))]
        roots = sorted({m.root for m in modules})
        root = next((r for r in run.roots if roots and r.index == roots[0]), None)
        replaced = max(p.left for p in orphans)
        held = [p for p in run.parameters if optimizer.index in p.optimizers and p.module >= 0 and p.left < 0]
        paths = sorted({m.path for m in modules})
        location: Location | None = optimizer.location
        if held:  # a part was replaced, the rest is the model that the optimizer was built from
            place = paths[0] if len(paths) == 1 else f"{len(paths)} modules ({', '.join(paths[:3])})"
            # A layer that is older than the optimizer got other parameters (weight_norm, a new nn.Parameter).
            older = all(0 < m.constructed_seq < optimizer.constructed_seq for m in modules)
            location = location if older else run.location_of(missing[0]) or location
        else:
            place = root.name if root else "the model"
            made = root.location if root and root.constructed_seq > optimizer.constructed_seq else None
            if made is not None and not is_handed_out(made.file, made.line):  # which made the first one, too
                location = made
        since = f"Since step {replaced}, " if replaced >= 0 else ""
        return Finding(
            f"{since}{optimizer.type} holds {len(orphans)} tensors that no model called in training has, while "
            f"{len(missing)} parameters of {place} are in no optimizer: it was built before "
            f"{'they were replaced' if held else 'this model existed'}, and its steps change nothing there.",
            location=location,
            module=paths[0] if len(paths) == 1 else (root.name if root else ""),
            evidence={
                "stale": len(orphans),
                "unheld": len(missing),
                "modules": paths[:8],
                "optimizer_line": str(optimizer.location),
            },
            onset_step=max(replaced, 0),
            parameters=tuple(p.index for p in missing),
            fix=f"Construct {optimizer.type} last, from the final model."
            if location == optimizer.location
            else f"Construct {optimizer.type} after this line, from the final model.",
        )
