"""C02: a parameter that the optimizer holds, and that no gradient ever reaches."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.checks.connections._half_cut import half_cut
from flightcheck.checks.depth import common_path, most_common, where
from flightcheck.recording.records import GraphCut, ModuleInfo, OptimizerInfo, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import LOSS

REPAIRABLE = ("detach", "data", "sample", "no_grad", "tensor", "item", "numpy", "Variable", "round")
"""Cuts that a trial can undo: the operation gives the tensor itself."""
TWIN_NAMES = {"target", "teacher", "ema", "momentum", "frozen", "old", "shadow", "averaged"}


_WRITTEN: Final = {
    "data": "`.data`", "detach": "`.detach()`", "numpy": "`.numpy()`", "item": "`.item()`",
    "tensor": "`torch.tensor(…)`", "no_grad": "`no_grad`",
}  # fmt: skip
"""How the operations that cut a graph stand in a script: "the data" may be anything."""
_REVERSE: Final = re.compile(r"weight_hh_l\d+_reverse$")


@check(
    "C02",
    "parameter-without-gradient",
    severity="error",
    evidence="X",
    needs=("parameters", "graph_cuts"),
    fix="Keep the tensor in the graph: remove what cuts it (detach, .data, no_grad, numpy, torch.tensor).",
)
class ParameterWithoutGradient(Check):
    """Parameters are in the optimizer, and no backward ever gave them a gradient.

    ## What it checks
    In at least 8 steps the gradient of a parameter was None, or zero in every element, although an optimizer that
    steps holds it. Parameters behind the same cut of the graph are one finding, on the line of the cut; so are those
    behind a function whose gradient is zero (`round`, `floor`, `sign`). Of parameters
    that were trained before with another optimizer, those count that the present one holds in a group of their own.
    And a cut whose result another part is given that learns, where the parameters behind it learn by another loss:
    a warning where a hook keeps it (`features[name] = output.detach()`), or all losses compare with the model's own
    input (a decoder on `z.detach()`), and a trial without the cut goes three times as far, or farther, from one in
    which what is handed on is permuted across the batch, by evaluations or the script's own numbers.
    ## Why it matters
    The part of the model behind the cut keeps its random values for ever, while the rest learns around it.
    ## How to fix
    Remove the cut: `.detach()`, `.data`, `no_grad`, `.numpy()`, `torch.tensor(x)`, `round`, `argmax`. If the part is
    meant to stay fixed, set `requires_grad=False` and leave it out of the optimizer.
    ## Source
    mltest and torchtest (all trainable variables must change); 47 of 365 silent bugs of the PyTorch forum are cuts.
    ## Known false alarms
    A part fixed on purpose but still in the optimizer. Modules never called, heads that no loss uses yet, target
    networks, experts not routed to and frozen parts in eval mode are info at most. A part that was trained before in
    the same script and is held together with a part that learns is not reported: it may be meant to stay. The recurrent
    weights of a bidirectional layer that is read at its last position, `out[:, -1]`, are a warning, and information
    where the loss falls all the same. Probes of features that are cut off are silent.
    """

    checks = Param(
        8, "a head used once in 8 batches, stochastic depth and zero-initialized partners have had their turn"
    )

    fallen = Param(
        0.5,
        "of its start: a training whose loss fell below that learns without the reverse direction of its last layer",
    )

    def __call__(self, run: Run) -> Iterator[Finding]:
        yield from half_cut(run)
        trained = [_of_last_phase(run, p) for p in run.parameters if run.trained(p)]
        if not trained:
            raise NotApplicable("no optimizer that steps holds a parameter")
        if _cleared_before_step(run):
            raise NotApplicable("the gradients are cleared between backward and step (P12)")
        live = [p for p in trained if p.gradients_nonzero]
        # A gradient that the graph reaches and the optimizer never finds was taken away, not cut off.
        dead = [p for p in trained if not p.gradients_nonzero and (p.gradients_seen or not p.in_graph)]
        judged = [p for p in dead if p.gradient_checks >= self.checks.value]
        most = max(p.gradient_checks for p in dead or trained)
        if not judged and most < self.checks.value:
            raise NotEnoughEvidence(f"gradients were looked at in {most} of {self.checks.value:.0f} steps")
        alive = {p.index for p in live}
        groups: dict[tuple[int, int, bool], list[ParameterInfo]] = {}
        for p in judged:
            owner = run.module(p.module)
            cut = _cut_of(run.graph_cuts, p.index, alive, zero=p.gradients_seen > 0)
            key = (cut, owner.root if owner else -1, p.gradients_seen > 0)
            groups.setdefault(key, []).append(p)
        for (cut, root, zero), group in groups.items():
            foreign = root < 0 and cut < 0  # in no called model: the optimizer holds the wrong tensors (P08, P10)
            natural = zero and all(p.role == "bias" for p in group)  # a bias before a normalization
            if not foreign and not natural:
                yield self._finding(run, group, live, run.graph_cuts[cut] if cut >= 0 else None, zero)

    def _finding(
        self, run: Run, group: list[ParameterInfo], live: list[ParameterInfo], cut: GraphCut | None, zero: bool
    ) -> Finding:
        modules = _modules(run, group)
        place = common_path(m.path for m in modules) or group[0].name
        what = "zero in every element" if zero else "None"
        many = f"{len(group)} parameters" if len(group) > 1 else "a parameter"
        message = f"The gradient of {many} of {place} was {what} in {group[0].gradient_checks} of "
        message += f"{group[0].gradient_checks} steps"
        how = "is flat between its jumps and sends zeros back to them" if zero else "cuts them off from the loss"
        message += f": {_WRITTEN.get(cut.operation, cut.operation)} in {where(cut.location)} {how}." if cut else "."
        harmless = _harmless(run, group, live, cut, zero)
        if not harmless and zero and cut is None and (recurrent := _one_step_backwards(run, group, live)) is not None:
            return self._reverse(run, group, recurrent)
        first = min(modules, key=lambda m: m.order, default=None)
        operation = cut.operation if cut else ""
        remedy = "Draw with rsample()" if operation == "sample" else f"Remove the {_WRITTEN.get(operation, operation)}"
        return Finding(
            f"{message} {harmless}".strip(),
            location=((cut.turned_off or cut.location) if cut else None)
            or (first.location if first else None)
            or most_common(run.location_of(p) for p in group),
            module=place,
            evidence={"gradient": "zero" if zero else "none", "cut": operation, "count": len(group)},
            severity="info" if harmless else None,
            fix=f"{remedy} in {where(cut.location)}. What is not meant to learn does not belong in the optimizer."
            if cut
            else f"Let the loss depend on the output of {place}, or take its parameters out of the optimizer.",
            patch=f"keep-graph:{where(cut.location)}" if cut and cut.operation in REPAIRABLE else "",
            parameters=tuple(p.index for p in group),
            onset_step=max((o.created_at_step for o in run.optimizers if group[0].index in o.cut_off), default=0),
        )

    def _reverse(self, run: Run, group: list[ParameterInfo], recurrent: ModuleInfo) -> Finding:
        names = ", ".join(p.name.rpartition(".")[2] for p in group)
        return Finding(
            f"{recurrent.path} is read at the last position, where its reverse direction has seen no other one: "
            f"the gradient of {names} was zero in every element in {group[0].gradient_checks} of "
            f"{group[0].gradient_checks} steps.",
            location=recurrent.location,
            module=recurrent.path,
            evidence={"gradient": "zero", "cut": "", "count": len(group), "reverse": True},
            severity="info" if self._learns(run) else "warn",  # the forward direction may be enough for the task
            fix="Read each direction where it has seen all positions: out, state = rnn(x); h = state[0] of an LSTM, "
            "else state; torch.cat([h[-2], h[-1]], dim=1).",
            parameters=tuple(p.index for p in group),
        )

    def _learns(self, run: Run) -> bool:
        losses = run.series(LOSS).values
        part = max(1, len(losses) // 10)
        return bool(np.mean(losses[-part:]) < self.fallen.value * np.mean(losses[:part]))


def _one_step_backwards(run: Run, group: list[ParameterInfo], live: list[ParameterInfo]) -> ModuleInfo | None:
    """The recurrent layer of which only the recurrent weights of the reverse direction have a gradient of zero.

    From a state of zeros that direction took one step: the weights of the state got nothing, those of the input did.
    """
    recurrent = run.module(group[0].module)
    if recurrent is None or recurrent.kind != "rnn" or any(p.module != recurrent.index for p in group):
        return None
    alive = {p.name for p in live}
    reverse = all(_REVERSE.search(p.name) and p.name.replace("weight_hh", "weight_ih") in alive for p in group)
    return recurrent if reverse else None


def _of_last_phase(run: Run, p: ParameterInfo) -> ParameterInfo:
    """As if it had never learnt, where it did with an optimizer that steps no more and gets nothing with this one."""
    later = next((o for o in run.optimizers if p.index in o.cut_off), None)
    if later is None or not _listed(later):
        return p
    return replace(p, in_graph=False, gradients_seen=0, gradients_nonzero=0, gradient_checks=later.gradient_looks)


def _listed(optimizer: OptimizerInfo) -> bool:
    """Some of its groups hold nothing but what is cut off: nobody lists on purpose what is to stay fixed.

    Where all parameters of a model were given at once, what was trained before may be meant to stay as it is.
    """
    start = 0
    for group in optimizer.groups if len(optimizer.groups) > 1 else ():
        inside = optimizer.parameters[start : start + group.get("parameters", 0)]
        start += len(inside)
        if inside and set(inside) <= set(optimizer.cut_off):
            return True
    return False


def _cut_of(cuts: list[GraphCut], parameter: int, alive: set[int], zero: bool) -> int:
    """The cut that explains a dead parameter, -1 if none: nothing alive lies behind it. The widest is the nearest.

    Gradients of zero come through a function that is flat, missing ones are due to a cut; to the only one that was
    seen of it, where what is alive lies behind each. An answer that another model with gradients was given explains
    more than one that was not: an agent acts without gradients, and rightly.
    """
    kind = [(i, c) for i, c in enumerate(cuts) if (c.operation == "round") == zero]
    found = [i for i, c in kind if parameter in c.parameters and not alive.intersection(c.parameters)]
    if not found and not zero:  # what is alive may lie behind the cut, too, and get its gradient on another way
        found = [i for i, c in kind if parameter in c.parameters]
        found = found if len(found) == 1 else []

    def weight(i: int) -> tuple[bool, bool, int, int]:
        return cuts[i].operation != "item", cuts[i].handed_on > 0, len(cuts[i].parameters), cuts[i].count

    return max(found, key=weight, default=-1)


def _modules(run: Run, group: list[ParameterInfo]) -> list[ModuleInfo]:
    return [m for p in group if (m := run.module(p.module)) is not None]


def _harmless(run: Run, group: list[ParameterInfo], live: list[ParameterInfo], cut: GraphCut | None, zero: bool) -> str:
    """Why the gradient is missing on purpose or without harm, empty if it is not."""
    modules = _modules(run, group)
    called = [m for m in modules if m.order >= 0]
    if modules and not called and cut is None:
        return "It was never called in training."
    if called and not any(m.training for m in called):
        loaded = any(r.loaded for r in run.roots if r.index == called[0].root)
        if loaded or (cut and cut.operation == "no_grad"):
            return "It runs in eval mode: frozen on purpose, it seems."
    learning = {q.module for q in live}
    if cut is None and not zero and all(p.role == "bias" and p.module in learning for p in group):
        return "The weights of its layer learn: the loss holds derivatives of the output only, which no bias changes."
    words = set(common_path(m.path for m in modules).lower().replace("_", ".").split("."))
    shapes = [q.shape for q in live]
    twins = all(p.shape in shapes for p in group)
    if twins and words & TWIN_NAMES:
        return "It looks like the target of a network that learns."
    lists = tuple(f"{m.path}." for m in run.modules if m.type == "ModuleList")
    if twins and zero and lists and all(p.name.startswith(lists) for p in group):
        return "Its siblings learn: nothing was routed to it."
    beside = [m.order for m in _modules(run, live) if called and m.root == called[0].root]
    if cut is None and beside and min(m.order for m in called) > max(beside):
        return "Nothing that learns comes after it: no loss uses it yet."
    return ""


def _cleared_before_step(run: Run) -> bool:
    """In most steps zero_grad came between backward and step."""
    steps = cleared = 0
    last = ""
    for call in run.calls:
        if call.kind == "step":
            steps += 1
            cleared += call.data.get("last", last) == "zero_grad"
        elif call.kind in ("backward", "zero_grad"):
            last = call.kind
    return cleared > steps / 2
