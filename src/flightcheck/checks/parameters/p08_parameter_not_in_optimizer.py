"""P08: a parameter that the loss reaches and no optimizer holds."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any, Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.parameters._replaced import replaced_in
from flightcheck.recording.records import Location, OptimizerInfo, ParameterInfo, RootInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM
from flightcheck.recording.thawed import Thawed

_PART: Final = re.compile(r"parameters\(\)\s*\)+\s*\[|\bislice\(")
"""A part of what a model's parameters() gives."""

_COPIES: Final = re.compile(
    r"(?<![a-z])(target|teacher|ema|average|averaged|momentum|old|ref|reference|frozen|fixed|prior|shadow)",
    re.IGNORECASE,
)
"""Names of models that are compared with and not trained."""


@check(
    "P08",
    "parameter-not-in-optimizer",
    severity="error",
    evidence="X",
    needs=("parameters", "optimizers"),
    fix="Give the optimizer these parameters as well, or set requires_grad=False if they are meant to be frozen.",
    patch="add-parameters",
)
class ParameterNotInOptimizer(Check):
    """A parameter wants a gradient, the loss reaches it, and no optimizer holds it: it keeps its first value.

    ## What it checks
    Parameters of the called models with `requires_grad`, in the graph of the loss, in the groups of no optimizer.
    The same of tensors that no module registers: an `nn.Parameter` that was changed before it became an attribute
    (`nn.Parameter(x).unsqueeze(0)`), or a tensor with `requires_grad` in an attribute, list or dict of a module, if the
    loss reached the same one in at least 4 rounds. Layers that a forward pass constructs: each call has new ones.
    Parameters that were frozen when the latest optimizer began to step, were thawed since, and are held by no optimizer
    that still steps. `check` goes on for them beyond its steps, while the source has a thaw to come.
    ## Why it matters
    Gradients are computed for them and thrown away; that part of the model stays as it was initialized.
    ## How to fix
    Pass all parts to the optimizer (`list(encoder.parameters()) + list(decoder.parameters())`), keep layers in a
    `ModuleList` or `ModuleDict`, build the optimizer after the last layer, do not forget losses that have parameters.
    Assign an `nn.Parameter` as it is: `unsqueeze`, `to` and arithmetic give a tensor that is no parameter.
    ## Source
    Chase Roberts, How to unit test machine learning code; torchtest.
    ## Known false alarms
    Pretrained parts that are frozen by omission, copies of a trained model (EMA and target networks: the same first
    values, or the name) and trained inputs (style transfer) are info. Parameters that somebody else changes are not
    reported; orphans are P10. A model of its own that has less than 3 % of the calls of a trained one (a test of
    gradients before the training) is left out. Of tensors that no module registers, inputs of models and those
    whose gradient the script reads are left out.
    """

    looks = Param(3, "steps after the thaw: an optimizer that is built anew for it steps in the same round")
    part = Param(0.03, "calls of a model, of those of a trained one: a loss that is used in one of 20 steps has more")
    moved = Param(1e-6, "relative change of a weight's norm that is more than float32 rounding")

    def __call__(self, run: Run) -> Iterator[Finding]:
        stepping = [o for o in run.optimizers if o.steps]
        if not run.optimizers:
            raise NotApplicable("no optimizer: parameters are updated by hand, if at all")
        if not stepping:
            raise NotEnoughEvidence("no optimizer stepped in the watched steps")
        thawed = [t for t in run.recorded(Thawed) if t.looks >= self.looks.value]
        if thawed:
            yield self._thawed(run, thawed[0])
            return
        ours = [p for p in run.parameters if p.module >= 0]
        if not ours:
            raise NotEnoughEvidence("no parameter of a called model was recorded")
        if not any(p.in_graph for p in ours):
            raise NotEnoughEvidence("the graph of the loss was not followed to any parameter")
        orphans = [p for p in run.parameters if p.module < 0 and p.optimizers and not p.gradients_nonzero]
        loose = [p for p in run.parameters if p.module < 0 and p.in_graph and p.requires_grad and not p.optimizers]
        missing: dict[int, list[ParameterInfo]] = defaultdict(list)
        anew: dict[Location | None, list[ParameterInfo]] = defaultdict(list)
        unheld = [p for p in ours if p.requires_grad and p.in_graph and not p.optimizers]
        successors = {p.index for o in stepping for p in replaced_in(run, o, unheld)[1]}
        for p in unheld:
            if p.index not in successors and not self._moves(run, p):  # of a replaced layer: P10
                module = run.module(p.module)
                passing = 0 <= p.left <= p.joined + 1  # it joined its model and was gone with the next round
                if module and (module.made_in_call or passing):
                    anew[module.location].append(p)
                else:
                    missing[module.root if module else -1].append(p)
        if orphans:
            return  # the optimizer holds other tensors in their place: P10
        if loose and (p := loose[0]):
            yield self._loose(loose, p.location or stepping[0].location)
        for line, parameters in anew.items():
            found = [m.path for i in {p.module for p in parameters} if (m := run.module(i))]
            if len(found) > len(set(found)):
                yield self._anew(run, line, parameters)
            else:  # made once, in the first call, and kept somewhere
                module = run.module(parameters[0].module)
                missing[module.root if module else -1] += parameters
        for root, parameters, count in _of_a_class(run, missing):
            if root is not None and self._looked_at(run, root):
                continue
            yield self._finding(run, root, parameters, stepping, count)

    def _looked_at(self, run: Run, root: RootInfo) -> bool:
        """A model of which nothing is trained took part in a step or two, in a test of gradients for example."""
        held = {m.root for p in run.parameters if p.optimizers and (m := run.module(p.module))}
        most = max((r.train_calls for r in run.roots if r.index in held), default=0)  # counted in the same steps
        return root.index not in held and 0 < root.train_calls < self.part.value * most

    @staticmethod
    def _loose(loose: list[ParameterInfo], location: Location | None) -> Finding:
        """Tensors of no model: what is done to a parameter after its construction takes it from its module."""
        names = ", ".join(p.name for p in loose[:2]) + (", …" if len(loose) > 2 else "")
        several = f"{len(loose)} tensors ({names}) want" if len(loose) > 1 else f"{names} wants"
        return Finding(
            f"{several} a gradient and the loss gives it, but no module registers and no optimizer holds what stands "
            "there: it keeps its first values.",
            location=location,
            evidence={"parameters": len(loose), "unregistered": True},
            parameters=tuple(p.index for p in loose),
            fix="Assign the nn.Parameter itself to an attribute (nothing computed from it, such as .unsqueeze(0) or "
            ".to(device)), several in nn.ParameterList, layers in nn.ModuleList.",
        )

    @staticmethod
    def _thawed(run: Run, thawed: Thawed) -> Finding:
        """Frozen when the optimizer was built, and learning is what the script wants of them since."""
        optimizer = next(o for o in run.optimizers if o.index == thawed.optimizer)
        missing = [p for p in run.parameters if p.index in set(thawed.parameters)]
        place = _common(sorted({m.path for p in missing if (m := run.module(p.module))})) or "the model"
        return Finding(
            f"{len(missing)} parameter{'s' if len(missing) > 1 else ''} of {place} were frozen when {optimizer.type} "
            f"began to step and have been thawed: from step {thawed.step} on they get gradients, but no optimizer that "
            "still steps holds them, and they keep their values.",
            location=optimizer.location,
            module=place,
            evidence={"parameters": len(missing), "values": sum(p.numel for p in missing), "thawed": thawed.step},
            onset_step=thawed.step,
            parameters=tuple(thawed.parameters),
            fix="Hand them over where they are thawed: optimizer.add_param_group({'params': …}); or give "
            f"{optimizer.type} all parameters from the start (it leaves out those without a gradient).",
            patch="add-parameters:thawed",
        )

    @staticmethod
    def _anew(run: Run, line: Location | None, parameters: list[ParameterInfo]) -> Finding:
        """What a forward pass constructs: each call has weights of its own, and there is nothing to hold."""
        modules = [m for i in sorted({p.module for p in parameters}) if (m := run.module(i))]
        path, kind = modules[0].path, modules[0].type
        return Finding(
            f"{kind} is made anew in each forward pass: {len(modules)} of them were seen. The loss reaches them, but "
            "no optimizer holds them: each is thrown away with its first values.",
            location=line,
            module=path,
            evidence={"parameters": len(parameters), "modules": [path], "made_anew": len(modules)},
            parameters=tuple(p.index for p in parameters),
            fix=f"Construct it once, in __init__, as an attribute of the module (self.layer = {kind}(…)), before the "
            "optimizer is built.",
            patch="keep-modules",
        )

    def _finding(
        self,
        run: Run,
        root: RootInfo | None,
        missing: list[ParameterInfo],
        stepping: list[OptimizerInfo],
        models: int,
    ) -> Finding:
        """What these parameters of one model want, or of several models of one class."""
        index = root.index if root else -1
        siblings = [p for p in run.parameters if (m := run.module(p.module)) and m.root == index]
        held = [p for p in siblings if p.optimizers]
        near = [o for o in stepping if any(o.index in p.optimizers for p in held)] or stepping
        doubled = [] if held else _doubled(run, stepping)
        optimizer = [*doubled, *near][0]
        paths = sorted({m.path for p in missing if (m := run.module(p.module))})
        place = _common(paths) or (root.name if root else "")
        if models > 1 and root:
            place = f"{models} models of class {root.type}"
        own = [p for p in missing if (m := run.module(p.module)) and m.root == index] or missing
        severity, why = self._excuse(run, root, own, held)
        late = held and (self._built_from(optimizer, root) or self._unregistered(optimizer, paths, run, held))
        location: Location | None = optimizer.location
        if late:
            location = run.location_of(missing[0]) or location
        count = sum(p.numel for p in missing)
        names = ", ".join(p.name for p in missing[:2]) + (", …" if len(missing) > 2 else "")
        message = (
            f"{len(missing)} parameter{'s' if len(missing) > 1 else ''} of {place or 'the model'} ({names}"
            + (f"; {count:,} values" if count else "")
            + ") want a gradient and the loss reaches them, but no optimizer holds them: they keep their first values"
            + (f" ({why})." if why else ".")
        )
        fix = (
            f"Create {place} before the optimizer, in an nn.ModuleList or nn.ModuleDict and no plain list or dict."
            if late
            else f"Pass the parameters of {place or 'this model'} to {optimizer.type}."
        )
        if models > 1:
            fix += " A model that keeps them in a plain list does not know them: nn.ModuleList does."
        return Finding(
            message,
            location=location,
            module=place,
            evidence={"parameters": len(missing), "values": count, "modules": paths[:8]},
            severity=severity,
            parameters=tuple(p.index for p in missing),
            fix=fix,
            patch=f"add-parameters:instead={optimizer.index}" if doubled else "",
        )

    def _excuse(
        self, run: Run, root: RootInfo | None, missing: list[ParameterInfo], held: list[ParameterInfo]
    ) -> tuple[Severity | None, str]:
        """A reason why this may be meant, with the severity that it leaves."""
        known = any(p.loaded for p in run.parameters)  # which parameters a file filled, not only which model
        if root and root.loaded and (all(p.loaded for p in missing) or not known):
            return "info", "frozen by omission in a pretrained model? Then set requires_grad=False"
        if all(p.write_location and not p.drawn and p.role == "embedding" for p in missing):
            return "info", "an embedding that was filled before training"
        if held:
            return None, ""
        shapes = sorted(tuple(p.shape) for p in missing)
        others: dict[int, list[tuple[int, ...]]] = defaultdict(list)
        for p in run.parameters:
            if p.optimizers and (m := run.module(p.module)):
                others[m.root].append(tuple(p.shape))
        if any(sorted(s) == shapes for s in others.values()) and _may_be_copy(run, root, missing):
            return "info", "a copy of a trained model, such as a target network?"
        trained_inputs = [p for p in run.parameters if p.module < 0 and p.gradients_nonzero]
        of_modules = any(o.location and ".parameters()" in o.location.code for o in run.optimizers if o.steps)
        if trained_inputs and not others and not of_modules:
            return "info", "the optimizer trains an input of a fixed model?"
        return None, ""

    @staticmethod
    def _built_from(optimizer: OptimizerInfo, root: RootInfo | None) -> bool:
        """The optimizer's line takes all parameters of this very root, so the missing ones came later or elsewhere."""
        if root is None or optimizer.location is None or _PART.search(optimizer.location.code):
            return False
        taken = re.findall(r"(?<![\w.])(\w+)\.(?:named_)?parameters\(\)\s*[,)]", optimizer.location.code)
        return len(taken) == 1 and taken[0].lower() in {"model", "net", "network", root.name.lower(), root.type.lower()}

    @staticmethod
    def _unregistered(optimizer: OptimizerInfo, paths: list[str], run: Run, held: list[ParameterInfo]) -> bool:
        """All stand in plain lists, nothing of which is held, and the optimizer's line is given groups that were made
        elsewhere.
        """
        lists = {p.partition("[")[0] for p in paths}
        known = {m.path.partition("[")[0] for p in held if (m := run.module(p.module)) and "[" in m.path}
        handed_on = optimizer.location is not None and "parameters(" not in optimizer.location.code
        return handed_on and all("[" in p for p in paths) and not lists & known

    def _moves(self, run: Run, p: ParameterInfo) -> bool:
        """Its values change although no optimizer holds it: an update by hand, an EMA, a copy of master weights."""
        if p.updates_nonzero:
            return True
        try:
            norms = run.table(WEIGHT_NORM, 2).column(p.index).values
        except NotEnoughEvidence:
            return False
        norms = norms[np.isfinite(norms)]
        return len(norms) > 1 and float(np.ptp(norms)) > self.moved.value * float(np.abs(norms).max())


def _of_a_class(
    run: Run, missing: dict[int, list[ParameterInfo]]
) -> Iterator[tuple[RootInfo | None, list[ParameterInfo], int]]:
    """What is missing by model, in which models of one class that are missing whole count as one, with their number."""
    roots = {r.index: r for r in run.roots}
    held = {m.root for p in run.parameters if p.optimizers and (m := run.module(p.module))}
    groups: dict[Any, list[int]] = defaultdict(list)
    for index in missing:
        root = roots.get(index)
        groups[index if root is None or index in held else root.type].append(index)
    for indices in groups.values():
        yield roots.get(indices[0]), [p for i in indices for p in missing[i]], len(indices)


def _may_be_copy(run: Run, root: RootInfo | None, missing: list[ParameterInfo]) -> bool:
    """It began with values of a trained model, or is named so. A second head or critic has values of its own."""
    names = {p.first_values for p in missing} - {""}
    theirs = {p.first_values for p in run.parameters if p.optimizers} - {""}
    return not names or not theirs or bool(names & theirs) or bool(root and _COPIES.search(root.name))


def _common(paths: list[str]) -> str:
    """The longest path that all of these share, of names and of places in lists."""
    if not paths:
        return ""
    parts = [re.split(r"\.|(?=\[)", p) for p in paths]
    shared = []
    for level in zip(*parts, strict=False):
        if len(set(level)) > 1:
            break
        shared.append(level[0])
    return ".".join(shared).replace(".[", "[")


def _doubled(run: Run, stepping: list[OptimizerInfo]) -> list[OptimizerInfo]:
    """Optimizers that hold nothing but what an earlier one holds, too: they were meant for something else."""
    held = {o.index: {p.index for p in run.parameters if o.index in p.optimizers} for o in stepping}
    return [o for i, o in enumerate(stepping) if held[o.index] in [held[e.index] for e in stepping[:i]]]
