"""C02: a parameter that the optimizer holds, and that no gradient ever reaches."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.depth import common_path
from flightcheck.recording.records import GraphCut, Location, ParameterInfo
from flightcheck.recording.run import Run

TWIN_NAMES = ("target", "teacher", "ema", "momentum", "frozen", "old", "ref", "key", "avg", "shadow", "prior")


@check(
    "C02",
    "parameter-without-gradient",
    severity="error",
    evidence="X",
    needs=("parameters", "graph_cuts"),
    fix="Keep the tensor in the graph: remove the operation that cuts it (detach, .data, no_grad, numpy, torch.tensor).",
)
class ParameterWithoutGradient(Check):
    """Parameters are in the optimizer, and no backward ever gave them a gradient.

    ## What it checks
    In at least 8 steps the gradient of a parameter was None, or zero in every element, although an optimizer that
    steps holds it. Parameters behind the same cut of the graph are one finding, on the line of the cut.
    ## Why it matters
    The part of the model behind the cut keeps its random values for ever, while the rest learns around it.
    ## How to fix
    Remove the cut: `.detach()`, `.data`, `no_grad`, `.numpy()`, `torch.tensor(x)`, `round`, `argmax`. If the part is
    meant to stay fixed, set `requires_grad=False` and leave it out of the optimizer.
    ## Source
    mltest and torchtest (all trainable variables must change); 47 of 365 silent bugs of the PyTorch forum are cuts.
    ## Known false alarms
    Modules that were never called, heads that no loss uses yet, target networks, experts that were not routed to and
    pretrained parts in eval mode are info at most.
    """

    checks = Param(8, "a head used once in 8 batches, stochastic depth and zero-initialized partners have had their turn")

    def __call__(self, run: Run) -> Iterator[Finding]:
        trained = [p for p in run.parameters if run.trained(p)]
        if not trained:
            raise NotApplicable("no optimizer that steps holds a parameter")
        if _cleared_before_step(run):
            raise NotApplicable("the gradients are cleared between backward and step (P12)")
        dead = [p for p in trained if p.gradients_nonzero == 0 and not (p.gradients_seen == 0 and p.in_graph)]
        judged = [p for p in dead if p.gradient_checks >= self.checks.value]
        if not judged and (dead or max(p.gradient_checks for p in trained) < self.checks.value):
            most = max(p.gradient_checks for p in (dead or trained))
            raise NotEnoughEvidence(f"gradients were looked at in {most} of {self.checks.value:.0f} steps")
        live = [p for p in trained if p.gradients_nonzero]
        groups: dict[tuple[int, int, bool], list[ParameterInfo]] = {}
        cuts = {p.index: _cut_of(run, p, {q.index for q in live}) for p in judged}
        for p in judged:
            cut = cuts[p.index]
            module = run.module(p.module)
            root = module.root if module else -1
            groups.setdefault((run.graph_cuts.index(cut) if cut else -1, root, p.gradients_seen > 0), []).append(p)
        for (_, root, zero), group in groups.items():
            cut = cuts[group[0].index]
            if root < 0 and cut is None:
                continue  # belongs to no called model: the optimizer holds the wrong tensors (P08, P10)
            if not any(p.role != "bias" for p in group):
                continue  # a bias before a normalization has a gradient of 0 by nature
            yield self._finding(run, group, live, cut, zero)

    def _finding(
        self, run: Run, group: list[ParameterInfo], live: list[ParameterInfo], cut: GraphCut | None, zero: bool
    ) -> Finding:
        modules = [m for p in group if (m := run.module(p.module)) is not None]
        place = common_path(m.path for m in modules) or group[0].name
        what = "exactly zero" if zero else "None"
        checked = min(p.gradient_checks for p in group)
        message = f"{len(group)} parameters of {place} had a gradient of {what} in {checked} of {checked} steps"
        message += f": {cut.operation} in line {cut.location} cuts them off from the loss." if cut else "."
        severity, why = _intent(run, group, live, cut, zero)
        at: Location | None = cut.location if cut and cut.location else None
        first = min(modules, key=lambda m: m.order if m.order >= 0 else 1 << 30, default=None)
        return Finding(
            message + (f" {why}" if why else ""),
            location=at or (first.location if first else None) or run.location_of(group[0]),
            module=place,
            evidence={"gradient": what, "parameters": len(group), "cut": cut.operation if cut else ""},
            severity=severity,
            fix=f"Remove the {cut.operation} in line {cut.location}, or take these parameters out of the optimizer."
            if cut
            else "Use the output of this part in the loss, or take its parameters out of the optimizer.",
            parameters=tuple(p.index for p in group),
        )


def _cut_of(run: Run, parameter: ParameterInfo, live: set[int]) -> GraphCut | None:
    """The cut that explains the dead parameter: nothing that is alive lies behind it. The widest is the nearest."""
    around = [c for c in run.graph_cuts if parameter.index in c.parameters and not live.intersection(c.parameters)]
    return max(around, key=lambda c: (c.operation not in ("item", "numpy"), len(c.parameters), c.count), default=None)


def _intent(
    run: Run, group: list[ParameterInfo], live: list[ParameterInfo], cut: GraphCut | None, zero: bool
) -> tuple[Severity | None, str]:
    """Info, with the reason, where the gradient is missing on purpose or without harm."""
    modules = [m for p in group if (m := run.module(p.module)) is not None]
    called = [m for m in modules if m.order >= 0]
    if modules and not called:
        return "info", "It was never called in training."
    if any(r.loaded for r in run.roots if r.index in {m.root for m in modules}) and all(not m.training for m in called):
        return "info", "It is pretrained and in eval mode."
    if cut and cut.operation == "no_grad" and called and all(not m.training for m in called):
        return "info", "It runs in eval mode without gradient: frozen on purpose."
    names = ".".join(common_path(m.path for m in modules).lower().replace("_", ".").split("."))
    if _twin(group, live) and any(t in names.split(".") for t in TWIN_NAMES):
        return "info", "It looks like the target of a network that learns."
    if zero and _experts(run, group, live):
        return "info", "Its siblings learn: it was not routed to."
    alive = [m for p in live if (m := run.module(p.module)) is not None and m.order >= 0]
    if cut is None and called and alive and min(m.order for m in called) > max(m.order for m in alive):
        return "info", "Nothing that learns comes after it: the loss does not use it yet."
    same_root = [m for m in alive if called and m.root == called[0].root]
    if cut is None and zero and same_root and all(_branch_end(m.order, same_root) for m in called):
        return "info", "It is the end of a branch whose loss has no weight yet."
    return None, ""


def _branch_end(order: int, alive: list[object]) -> bool:
    return all(getattr(m, "order", -1) < order for m in alive)


def _twin(group: list[ParameterInfo], live: list[ParameterInfo]) -> bool:
    return sorted(tuple(p.shape) for p in group) == sorted(
        tuple(p.shape) for p in live if any(p.shape == q.shape for q in group)
    ) or all(any(p.shape == q.shape and p.name[-6:] == q.name[-6:] for q in live) for p in group)


def _experts(run: Run, group: list[ParameterInfo], live: list[ParameterInfo]) -> bool:
    lists = {m.path for m in run.modules if m.type == "ModuleList"}
    shapes = {tuple(q.shape) for q in live}
    return all(any(p.name.startswith(f"{path}.") for path in lists) and tuple(p.shape) in shapes for p in group)


def _cleared_before_step(run: Run) -> bool:
    steps = cleared = 0
    last = ""
    for call in run.calls:
        if call.kind == "step":
            steps += 1
            cleared += last == "zero_grad"
        if call.kind in ("backward", "zero_grad"):
            last = call.kind
    return steps > 0 and cleared > steps / 2
