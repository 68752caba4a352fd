"""L17: no gradient can flow from the loss to what should learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, Severity, check
from flightcheck.checks.connections.c02_parameter_without_gradient import REPAIRABLE
from flightcheck.recording.records import GraphCut, Location, ParameterInfo
from flightcheck.recording.run import Run
from flightcheck.recording.signals import WEIGHT_NORM

NO_GRAPH = "does not require grad and does not have a grad_fn"
BREAKS = ("detach", "data", "numpy", "integer", "tensor", "no_grad", "sample")
_LATER = {"item": 1, "comparison": 2}
"""Cuts that are as often those of a number that is printed."""
DECISIONS = ("integer", "comparison")
FIXES = {
    "detach": "Remove the detach() from the path between model and loss.",
    "data": "Use the tensor itself instead of its .data.",
    "numpy": "Compute with torch instead of NumPy between model and loss.",
    "integer": "Compute the loss from the outputs: argmax, round and casts to integers have no gradient.",
    "comparison": "Compute the loss from the outputs themselves: a threshold has no gradient.",
    "tensor": "Use the tensor itself: torch.tensor(x) and Variable(x) make a copy without history.",
    "item": "Keep the loss a tensor: .item() returns a plain number, and what torch.tensor(…) makes of one is new.",
    "sample": "Draw with rsample(): sample() has no gradient.",
    "no_grad": "Run the forward pass of training outside of torch.no_grad().",
    "requires_grad": "Remove requires_grad_() on the loss: it hides that the graph was cut before.",
}


@check(
    "L17",
    "loss-not-connected",
    severity="error",
    evidence="X",
    needs=("calls", "graph_cuts"),
    fix="Remove the operation that cuts the graph between the model and the loss.",
)
class LossNotConnected(Check):
    """The graph of the loss reaches none of the parameters that an optimizer is to train.

    ## What it checks
    Backward was called on a tensor without history, or PyTorch refused it; or a line of the script (`detach`, `.data`,
    `.item()`, NumPy, `torch.tensor`, `no_grad`, argmax) cut off every parameter that an optimizer holds. A cut that
    leaves a part connected is C02.
    ## Why it matters
    These parameters keep their first values for ever, and no error message says so.
    ## How to fix
    Remove the cut; freeze on purpose with `requires_grad_(False)`.
    ## Source
    Chase Roberts, "How to unit test machine learning code"; pytorch.org, autograd mechanics.
    ## Known false alarms
    A part frozen on purpose by `detach` although the optimizer holds it; `no_grad` gives only a warning, and where the
    model was loaded only information. Parts with a twin that learns, or that change by themselves, are teachers: also
    information. Cuts beside a working path (target networks, BYOL, GAN discriminator steps) are not flagged.
    """

    backwards = Param(3, "a single batch may have nothing to learn from (no objects, no valid labels)")
    checks = Param(3, "gradients may be missing in the first steps of alternating or warmed-up trainings")

    def __call__(self, run: Run) -> Iterator[Finding]:
        trained = [p for p in run.parameters if run.trained(p)]
        fed = {p.index for p in run.parameters if p.gradients_seen or p.in_graph}
        if NO_GRAPH in run.info.error:
            yield self._refused(run)
            return
        backwards = [c for c in run.calls if c.kind == "backward" and "parameters" in c.data]
        loose = [c for c in backwards if not c.data["parameters"]]
        unfed = not any(p.index in fed for p in trained)
        differentiated = run.info.backwards or any(c.kind in ("backward", "autograd_grad") for c in run.calls)
        cut_off = list(self._cut_off(run, trained)) if unfed and differentiated else []  # without: P12
        if len(loose) >= self.backwards.value and len(loose) == len(backwards) and unfed:
            leaf = sum(bool(c.data.get("leaf")) for c in loose)
            cut = self._culprit(run, loose[-1].location)
            # without an optimizer, a loss with history may reach tensors that nobody told us of
            if leaf == len(loose) or trained:
                what = "a tensor without history" if leaf else "a loss whose graph holds no parameter"
                yield self._finding(f"Backward was called on {what} in all {len(loose)} observed calls", cut, run)
                return
        if cut_off:
            yield from cut_off
        elif not backwards and not any(p.gradient_checks for p in trained):
            if run.info.backwards or trained:
                raise NotEnoughEvidence("no backward was observed with its graph")
            raise NotApplicable("no backward was called")
        elif backwards and len(backwards) < self.backwards.value and loose:
            raise NotEnoughEvidence(f"{len(backwards)} of {self.backwards.value:.0f} observed backward calls")

    def _refused(self, run: Run) -> Finding:
        info = run.info
        if run.parameters and not any(p.requires_grad for p in run.parameters):
            return Finding(
                "The loss has no gradient: every parameter has requires_grad=False.",
                location=info.error_location,
                evidence={"error": info.error},
                onset_step=info.steps,
                fix="Leave requires_grad=True for the parts that are to learn.",
            )
        cut = self._culprit(run, info.error_location)
        return self._finding("PyTorch refused backward: the loss has no connection to any parameter", cut, run)

    @staticmethod
    def _culprit(run: Run, before: Location | None) -> GraphCut | None:
        """The cut that most likely broke the graph: a real break, with most parameters behind it, nearest before."""

        def rank(cut: GraphCut) -> tuple[bool, int, int, int]:
            at, line = cut.location, before.line if before else 0
            same = bool(at and before and (at.file, at.function) == (before.file, before.function))
            after = bool(same and at and at.line > line)
            kind = 0 if cut.operation in BREAKS else _LATER.get(cut.operation, 3)
            return after, -len(cut.parameters), kind, -(at.line if at and same else 0)

        return min((c for c in run.graph_cuts if c.location and c.operation != "round"), key=rank, default=None)

    @staticmethod
    def _finding(what: str, cut: GraphCut | None, run: Run) -> Finding:
        backward = next((c.location for c in run.calls if c.kind == "backward" and c.location), None)
        fallback = run.info.error_location or backward or run.plan.backward_location
        where = f" ('{cut.operation}' cuts the graph in line {cut.location.line})" if cut and cut.location else ""
        parameters = tuple(cut.parameters) if cut else ()
        return Finding(
            f"{what}{where}, so nothing can learn.",
            location=cut.location if cut else fallback,
            evidence={"operation": cut.operation if cut else "", "backward": str(fallback)},
            onset_step=cut.step if cut else 0,
            fix=FIXES.get(cut.operation, "") if cut else "",
            patch=_patch(cut),
            parameters=parameters or tuple(p.index for p in run.parameters if run.trained(p)),
        )

    def _cut_off(self, run: Run, lost: list[ParameterInfo]) -> Iterator[Finding]:
        """Trained parameters that never got a gradient and lie behind a cut, one finding per cut."""
        waiting = {p.index: p for p in lost if max(p.gradient_checks, p.update_checks) >= self.checks.value}
        for cut in sorted(run.graph_cuts, key=lambda c: (c.operation == "item", -len(c.parameters), -c.count)):
            behind = [waiting.pop(i) for i in cut.parameters if i in waiting]
            if not behind or cut.operation in ("requires_grad", "round"):
                continue
            severity: Severity = "warn" if cut.operation == "no_grad" else "error"
            if self._teacher(run, behind) or (cut.operation == "no_grad" and any(r.loaded for r in run.roots)):
                severity = "info"
            modules = sorted({m.path for p in behind if (m := run.module(p.module))})
            shared = modules[0] if len(modules) == 1 else _common(modules)
            yield Finding(
                f"'{cut.operation}' cuts the graph between the loss and {len(behind)} parameters of "
                f"{shared or cut.module or 'the model'}, which the optimizer holds: none of them ever got a gradient.",
                location=cut.location,
                module=shared or cut.module,
                evidence={"operation": cut.operation, "parameters": len(behind), "names": [p.name for p in behind[:5]]},
                onset_step=cut.step,
                severity=severity,
                fix=FIXES.get(cut.operation, ""),
                patch=_patch(cut),
                parameters=tuple(p.index for p in behind),
            )

    @staticmethod
    def _teacher(run: Run, behind: list[ParameterInfo]) -> bool:
        """They have a twin of the same names and shapes that learns, or something else writes their values."""
        learning = [p for p in run.parameters if p.gradients_seen]
        for depth in (0, 1):
            twins = {(p.name.split(".", depth)[-1], tuple(p.shape)) for p in learning}
            if sum(len(p.shape) > 1 for p in behind) > 1 and twins.issuperset(
                (p.name.split(".", depth)[-1], tuple(p.shape)) for p in behind
            ):
                return True
        try:
            weights = run.table(WEIGHT_NORM, 2)
        except NotEnoughEvidence:
            return False
        columns = [weights.column(p.index).values for p in behind]
        return any(len(c) > 1 and float(c.max()) > float(c.min()) for c in columns)


def _patch(cut: GraphCut | None) -> str:
    """The trial that leaves the graph whole at this line."""
    if cut is None or cut.location is None or cut.operation not in (*REPAIRABLE, *DECISIONS):
        return ""
    return f"keep-graph:{PurePath(cut.location.file).name}:{cut.location.line}"


def _common(paths: list[str]) -> str:
    """The longest dotted path above all of these."""
    shared: list[str] = []
    for parts in zip(*(p.split(".") for p in paths)):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)
