"""C39: one layer is called twice, and the one that was made for the second place never."""

from __future__ import annotations

from collections.abc import Iterator

from flightcheck.checks.base import Check, Finding, NotApplicable, NotEnoughEvidence, Param, check
from flightcheck.recording.records import ModuleInfo
from flightcheck.recording.run import Run
from flightcheck.recording.wiring import StandIn


@check(
    "C39",
    "layer-in-place-of-another",
    severity="error",
    evidence="X",
    needs=("StandIn", "modules", "parameters"),
    fix="Call each layer in its own place.",
)
class LayerInPlaceOfAnother(Check):
    """A layer is called twice in each forward pass, and its twin, which an optimizer is to train, never.

    ## What it checks
    Two attributes of one module that are modules of one kind, with the same settings and parameters of the same shapes:
    one is called twice or more in every forward pass, the other in no step, and an optimizer holds the parameters of
    both. No gradient ever reached the other one.
    ## Why it matters
    A slip of copy and paste: `return self.fc_mu(h), self.fc_mu(h)`. The two places share what they were to learn apart.
    ## How to fix
    Call the one that was made for the second place.
    ## Source
    CWE-1041 (code copied and not adapted); mltest (all trainable variables must change).
    ## Known false alarms
    Layers in lists and dictionaries of modules, of which one is chosen by a number or a name, are left out, and so are
    those that the class calls in a branch or a method of its own (a head of a later phase).
    """

    checks = Param(8, "steps in which the idle one had no gradient: it may be meant for another phase")

    def __call__(self, run: Run) -> Iterator[Finding]:
        if not run.info.steps:
            raise NotEnoughEvidence("no optimizer stepped")
        if len(run.modules) < 2:
            raise NotApplicable("the model is one layer")
        doubt = ""
        for pair in run.recorded(StandIn):
            called, idle = run.module(pair.module), run.module(pair.unused)
            if called is None or idle is None:
                continue
            mine = [p for p in run.parameters if p.module >= 0 and _below(run, p.module, idle)]
            if not mine or any(p.gradients_seen or p.in_graph for p in mine) or not any(p.optimizers for p in mine):
                continue
            if max(p.gradient_checks for p in mine) < self.checks.value:
                doubt = f"gradients were looked at in fewer than {self.checks.value:.0f} steps"
                continue
            yield self._finding(run, pair, called, idle)
        if doubt:
            raise NotEnoughEvidence(doubt)

    @staticmethod
    def _finding(run: Run, pair: StandIn, called: ModuleInfo, idle: ModuleInfo) -> Finding:
        one, other = (m.path.rpartition(".")[2] for m in (called, idle))
        times = "twice" if pair.calls == 2 else f"{pair.calls} times"
        return Finding(
            f"{called.path} is called {times} in each forward pass, and {idle.path}, which is just like it and in the "
            "optimizer, never: one of these calls was meant for it.",
            location=pair.location or called.location,
            module=called.path,
            evidence={"called": one, "never": other, "calls": pair.calls},
            fix=f"Call {other} in the place of the second {one}.",
            patch=f"call-instead:{called.path}>{idle.path}" if pair.calls == 2 else "",
            parameters=tuple(p.index for p in run.parameters if _below(run, p.module, idle)),
        )


def _below(run: Run, index: int, module: ModuleInfo) -> bool:
    own = run.module(index)
    return own is not None and (own.path == module.path or own.path.startswith(f"{module.path}."))
